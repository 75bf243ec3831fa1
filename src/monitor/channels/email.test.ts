import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { openMailServer, readMail } from '../../../test/support/notices/mail-server.ts'
import { ALERT, noticeOf } from '../../../test/support/notices/notices.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import type { Receipt } from './channel.ts'
import type { EmailConfig } from './config.ts'
import { type DeliveryOutcome, deliver } from './deliver.ts'
import { openChannel } from './open-channel.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
const PASSWORD = 'very secret'

const openMail = (port: number, facts: Partial<EmailConfig> = {}) =>
  openChannel(
    {
      kind: 'email',
      name: 'ops-mail',
      server: `smtp://localhost:${port}`,
      tls: 'none',
      from: 'Retake <retake@example.org>',
      to: ['ops@example.org', 'Jürgen Müller <juergen@example.org>'],
      ...facts,
    },
    { env: { PASSWORD }, now: () => NOW },
  )

const failureIn = (outcome: DeliveryOutcome) => {
  assert(!outcome.delivered)
  return outcome.failure
}

describe('a mail', () => {
  test('has text and HTML, says what it is, and can be sorted and is not answered by programs', async () => {
    await using server = await openMailServer()
    const headline = 'CRITICAL: kein Backup von „Müller & Söhne“ seit 27 h – Übergröße 👩‍👩‍👧‍👦 <b>'
    await (await openMail(server.port)).send(
      noticeOf({ headline, alerts: [{ ...ALERT, finding: 'Größe: 5 < 6 & 7 > 2' }] }),
      {
        links: { open: 'https://retake.example.org/i/7?a=1&b=2' },
      },
    )
    const [mail] = server.mails
    assert.equal(mail?.from, 'retake@example.org')
    assert.deepEqual(mail?.to, ['ops@example.org', 'juergen@example.org'])
    const { headers, contentType, parts } = readMail(mail?.raw ?? '')
    assert.match(contentType, /^multipart\/alternative/)
    assert.equal(headers.get('subject'), headline)
    assert.equal(headers.get('from'), 'Retake <retake@example.org>')
    assert.equal(headers.get('to'), 'ops@example.org, Jürgen Müller <juergen@example.org>')
    assert.equal(headers.get('auto-submitted'), 'auto-generated')
    assert.equal(headers.get('list-id'), 'Retake notices <ops-mail.retake.example.org>')
    assert.equal(headers.get('importance'), 'high')
    assert.equal(Date.parse(headers.get('date') ?? ''), Date.parse('2026-11-22T12:04:11.000Z'))
    assert.match(headers.get('message-id') ?? '', /^<retake-[0-9a-f]{32}@example\.org>$/)
    assert.deepEqual([...parts.keys()], ['text/plain', 'text/html'])
    assert.match(parts.get('text/plain') ?? '', /Found: Größe: 5 < 6 & 7 > 2/)
    const html = parts.get('text/html') ?? ''
    assert.match(html, /Größe: 5 &lt; 6 &amp; 7 &gt; 2/)
    assert.match(html, /href="https:\/\/retake\.example\.org\/i\/7\?a=1&amp;b=2"/)
    // RFC 5321 section 4.5.3.1.6
    assert(mail?.raw.split('\r\n').every((line) => line.length <= 998))
  })

  test('answers the first of its incident, and has the same id when it is sent again', async () => {
    await using server = await openMailServer()
    const channel = await openMail(server.port)
    const receipts: Receipt[] = []
    for (const notice of [
      noticeOf(),
      noticeOf({ id: 'n-2', kind: 'escalated' }),
      noticeOf({ id: 'n-3', kind: 'resolved' }),
      noticeOf({ id: 'n-3', kind: 'resolved' }),
    ]) {
      const previous = receipts.at(-1)
      receipts.push(await channel.send(notice, previous ? { previous } : {}))
    }
    const mails = server.mails.map(({ raw }) => readMail(raw).headers)
    const [first, second, third, again] = mails.map((headers) => headers.get('message-id'))
    assert.deepEqual(
      mails.map((headers) => [headers.get('in-reply-to'), headers.get('references')]),
      [
        [undefined, undefined],
        [first, first],
        [second, `${first} ${second}`],
        [first, first],
      ],
    )
    assert.equal(third, again)
    assert.deepEqual(
      new Set(mails.slice(1).map((headers) => headers.get('subject'))),
      new Set([`Re: ${mails[0]?.get('subject')}`]),
    )
    assert.match(readMail(server.mails[2]?.raw ?? '').parts.get('text/plain') ?? '', /^RESOLVED: /)
  })

  test('no text of a notice makes a header or a recipient', async () => {
    await using server = await openMailServer()
    const nasty = 'x\r\nBcc: other@example.org\r\n\r\nbody'
    await (await openMail(server.port)).send(noticeOf({ id: nasty, incident: nasty, headline: nasty, cluster: nasty }))
    const { headers } = readMail(server.mails[0]?.raw ?? '')
    assert.equal(headers.has('bcc'), false)
    assert.equal(server.mails[0]?.to.length, 2)
  })

  test('five hundred alerts are a mail of a sensible size', async () => {
    await using server = await openMailServer()
    await (await openMail(server.port)).send(noticeOf({ alerts: Array.from({ length: 500 }, () => ALERT) }))
    const { parts } = readMail(server.mails[0]?.raw ?? '')
    for (const part of parts.values()) assert.match(part, /… and \d+ more alerts/)
    assert((server.mails[0]?.raw.length ?? 0) < 300_000)
  })
})

describe('a mail server', () => {
  test('that wants a password gets it', async () => {
    await using server = await openMailServer({ authOptional: false, allowInsecureAuth: true })
    await (await openMail(server.port, { user: 'retake', password: { env: 'PASSWORD' } })).send(noticeOf())
    assert.equal(server.mails[0]?.user, 'retake')
  })

  test('that does not accept the password is said with what to do, without the password', async () => {
    await using server = await openMailServer({
      allowInsecureAuth: true,
      onAuth: ({ password }, _session, done) =>
        done(Object.assign(new Error(`No: ${password}`), { responseCode: 535 })),
    })
    const failure = failureIn(
      await deliver(await openMail(server.port, { user: 'retake', password: { env: 'PASSWORD' } }), noticeOf()),
    )
    assert.equal(failure.code, 'notice.denied')
    assert.match(String(failure.hint), /`password`/)
    assert.equal(JSON.stringify(failure).includes(PASSWORD), false)
  })

  test('that refuses one recipient still has the mail for the others, and it is said', async () => {
    await using server = await openMailServer({
      onRcptTo: ({ address }, _session, done) =>
        address.startsWith('ops') ? done(Object.assign(new Error('No such user'), { responseCode: 550 })) : done(),
    })
    const outcome = await deliver(await openMail(server.port), noticeOf())
    assert(outcome.delivered)
    assert.deepEqual(server.mails[0]?.to, ['juergen@example.org'])
    assert.equal(outcome.receipt.refused?.[0]?.address, 'ops@example.org')
    assert.match(String(outcome.warnings[0]), /ops@example\.org \(550 No such user\)/)
  })

  test('that refuses everybody is not asked again', async () => {
    await using server = await openMailServer({
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('No such user'), { responseCode: 550 })),
    })
    const failure = failureIn(await deliver(await openMail(server.port), noticeOf()))
    assert.equal(failure.code, 'notice.refused')
    assert.equal(failure.mayRetry, false)
    assert.match(String(failure.hint), /`to`/)
  })

  test('that refuses one for good and puts the others off is asked again', async () => {
    await using server = await openMailServer({
      onRcptTo: ({ address }, _session, done) =>
        done(Object.assign(new Error('No'), { responseCode: address.startsWith('ops') ? 451 : 550 })),
    })
    const failure = failureIn(await deliver(await openMail(server.port), noticeOf()))
    assert.equal(failure.mayRetry, true, JSON.stringify(failure))
  })

  for (const [name, options] of [
    [
      'of a recipient',
      { onRcptTo: (_address, _session, done) => done(Object.assign(new Error('Greylisted'), { responseCode: 451 })) },
    ],
    [
      'of the sender',
      { onMailFrom: (_address, _session, done) => done(Object.assign(new Error('Greylisted'), { responseCode: 421 })) },
    ],
    [
      'of the connection',
      { onConnect: (_session, done) => done(Object.assign(new Error('Too many'), { responseCode: 421 })) },
    ],
  ] as const satisfies readonly (readonly [string, Parameters<typeof openMailServer>[0]])[]) {
    test(`that puts it off because ${name} is asked again later`, async () => {
      await using server = await openMailServer(options)
      const failure = failureIn(await deliver(await openMail(server.port), noticeOf()))
      assert.equal(failure.mayRetry, true, JSON.stringify(failure))
      assert.equal(server.mails.length, 0)
    })
  }

  test('that does not speak TLS gets nothing when TLS is required', async () => {
    await using server = await openMailServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] })
    const channel = await openMail(server.port, { tls: undefined, user: 'retake', password: { env: 'PASSWORD' } })
    const failure = failureIn(await deliver(channel, noticeOf()))
    assert.equal(failure.code, 'notice.refused')
    assert.equal(server.mails.length, 0)
  })

  test('whose certificate nobody vouches for gets nothing', async () => {
    await using server = await openMailServer()
    const failure = failureIn(await deliver(await openMail(server.port, { tls: undefined }), noticeOf()))
    assert.equal(failure.code, 'notice.refused')
    assert.match(String(failure.hint), /`caFile`/)
    assert.equal(server.mails.length, 0)
  })

  test('that is not there may be there later', async () => {
    const server = await openMailServer()
    await server[Symbol.asyncDispose]()
    const failure = failureIn(await deliver(await openMail(server.port), noticeOf()))
    assert.equal(failure.code, 'notice.unreachable')
    assert.equal(failure.mayRetry, true)
  })
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe('an encrypted mail server', {
  skip: hasOpenssl ? false : 'the openssl program, which makes the certificate, is not installed',
}, () => {
  for (const [name, scheme, secure] of [
    ['with STARTTLS', 'smtp', false],
    ['from the start', 'smtps', true],
  ] as const) {
    test(`${name}, and with an authority of one's own`, async () => {
      await using temp = makeTemp({ label: 'mail' })
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
      const files = ['-keyout', temp.join('key.pem'), '-out', temp.join('cert.pem')]
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...subject], {
        stdio: 'pipe',
      })
      await using server = await openMailServer({
        secure,
        key: readFileSync(temp.join('key.pem')),
        cert: readFileSync(temp.join('cert.pem')),
      })
      const channel = await openMail(server.port, {
        server: `${scheme}://localhost:${server.port}`,
        tls: undefined,
        caFile: temp.join('cert.pem'),
        user: 'retake',
        password: { env: 'PASSWORD' },
      })
      await channel.send(noticeOf())
      assert.equal(server.mails[0]?.secure, true)
      assert.equal(server.mails[0]?.user, 'retake')
    })
  }
})

describe('a mail server that hangs', () => {
  /** Speaks until it gets to `stage`, and then holds the line in silence. */
  async function openStuckServer(stage: 'greeting' | 'EHLO' | 'RCPT' | 'message') {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      if (stage === 'greeting') return
      socket.write('220 stuck\r\n')
      let isMessage = false
      socket.on('data', (data) => {
        const text = data.toString('latin1')
        if (isMessage) return
        if (text.startsWith('EHLO')) {
          if (stage !== 'EHLO') socket.write('250 stuck\r\n')
        } else if (text.startsWith('RCPT')) {
          if (stage !== 'RCPT') socket.write('250 ok\r\n')
        } else if (text.startsWith('DATA')) {
          isMessage = true
          socket.write('354 go on\r\n')
        } else socket.write('250 ok\r\n')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      port: (server.address() as AddressInfo).port,
      sockets,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  for (const stage of ['greeting', 'EHLO', 'RCPT', 'message'] as const) {
    test(`at the ${stage} is left in time, and its connection closed`, async () => {
      await using server = await openStuckServer(stage)
      const failure = failureIn(await deliver(await openMail(server.port), noticeOf(), { timeoutMs: 150 }))
      assert(failure.code === 'timeout' || failure.code === 'notice.unreachable', failure.code)
      assert.equal(failure.mayRetry, true)
      await Promise.all(
        [...server.sockets].map(
          (socket) => socket.destroyed || new Promise((resolve) => socket.once('close', resolve)),
        ),
      )
    })
  }

  test('does not hold up who wants to stop', async () => {
    await using server = await openStuckServer('message')
    const controller = new AbortController()
    const sending = deliver(await openMail(server.port), noticeOf(), { signal: controller.signal })
    setImmediate(() => controller.abort())
    await assert.rejects(sending, { code: 'aborted' })
  })
})
