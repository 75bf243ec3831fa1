/** A real SMTP server on this machine that keeps what arrives, and a small reader of it that knows nothing of our code. */
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface ArrivedMail {
  readonly from: string
  readonly to: readonly string[]
  readonly raw: string
  readonly secure: boolean
  readonly user: string | undefined
}

export interface MailServer extends AsyncDisposable {
  readonly port: number
  readonly mails: readonly ArrivedMail[]
}

export async function openMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const mails: ArrivedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    // Sockets of a client that does not hang up are torn at once.
    closeTimeout: 1,
    onAuth: ({ username, password }, _session, done) =>
      password === 'very secret'
        ? done(null, { user: username })
        : done(Object.assign(new Error('Invalid credentials'), { responseCode: 535 })),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString('latin1'),
          secure: session.secure,
          user: session.user,
        })
        done()
      })
    },
    ...options,
  })
  // A client that hangs up is what some tests are about.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return {
    port,
    mails,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

export interface ReadMail {
  readonly headers: ReadonlyMap<string, string>
  readonly contentType: string
  /** By media type. */
  readonly parts: ReadonlyMap<string, string>
}

/** RFC 5322, 2045 to 2047, as far as a mail of ours needs it. */
export function readMail(raw: string): ReadMail {
  const { headers, body } = split(raw)
  const contentType = headers.get('content-type') ?? ''
  const boundary = /boundary="([^"]+)"/.exec(contentType)?.[1]
  if (boundary === undefined) throw new Error('not a multipart message')
  const sections = body.split(`--${boundary}`)
  if (!sections.at(-1)?.startsWith('--')) throw new Error('the multipart message has no end')
  const parts = sections.slice(1, -1).map((section) => {
    const part = split(section.replace(/^\r\n/, ''))
    const type = part.headers.get('content-type') ?? ''
    return [
      type.split(';')[0] ?? '',
      decode(part.body, part.headers.get('content-transfer-encoding') ?? '7bit'),
    ] as const
  })
  return { headers, contentType, parts: new Map(parts) }
}

function split(text: string): { readonly headers: ReadonlyMap<string, string>; readonly body: string } {
  const end = text.indexOf('\r\n\r\n')
  const lines = text
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (headers.has(name)) throw new Error(`two headers of the name ${name}`)
    headers.set(name, decodeWords(line.slice(colon + 1).trim()))
  }
  return { headers, body: text.slice(end + 4) }
}

function decodeWords(value: string): string {
  return value
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_, encoding: string, text: string) =>
      encoding.toUpperCase() === 'B'
        ? Buffer.from(text, 'base64').toString('utf8')
        : quotedPrintable(text.replaceAll('_', ' ')),
    )
}

function decode(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  if (encoding === 'quoted-printable') return quotedPrintable(body.replace(/=\r\n/g, ''))
  if (encoding === '7bit') return body
  throw new Error(`an encoding that was not expected: ${encoding}`)
}

function quotedPrintable(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
