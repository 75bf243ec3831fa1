/** One mail over one SMTP connection, with a time limit for all of it. What the server says decides whether it may be tried again. */
import type { ConnectionOptions } from 'node:tls'
import { throwIfAborted } from '../../base/abort.ts'
import { attempt } from '../../base/attempt.ts'
import { isRetakeError, RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { RefusedRecipient } from './channel.ts'
import { quote } from './http.ts'

export interface SmtpServer {
  readonly host: string
  readonly port: number
  readonly security: 'starttls' | 'implicit' | 'none'
  readonly ca?: string | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
}

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  /** The whole message, headers included. */
  readonly raw: Buffer
  /** Asks the servers on the way to report that it was delivered, where they can (RFC 3461). */
  readonly reportAs?: string | undefined
}

export interface SendMailOptions {
  readonly server: SmtpServer
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Succeeds when at least one recipient was accepted; who was not is in the answer.
 * @throws RetakeError `notice.unreachable`, `notice.failed`, `notice.denied`, `notice.refused`, `timeout`, `aborted`
 */
export async function sendMail(mail: Mail, options: SendMailOptions): Promise<readonly RefusedRecipient[]> {
  const { server, timeoutMs, signal } = options
  const outcome = await attempt((limit) => converse(mail, { server, timeoutMs, signal: limit }), {
    limitMs: timeoutMs,
    what: `the mail server ${server.host}`,
    hint: `Look whether ${server.host}:${server.port} can be reached from this machine; whether the mail was taken is not known.`,
    signal,
  })
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

async function converse(mail: Mail, options: SendMailOptions): Promise<readonly RefusedRecipient[]> {
  const { server, timeoutMs, signal } = options
  // Loaded by who sends mail only.
  const { default: SMTPConnection } = await import('nodemailer/lib/smtp-connection')
  throwIfAborted(signal)
  const connection = new SMTPConnection({
    host: server.host,
    port: server.port,
    secure: server.security === 'implicit',
    requireTLS: server.security === 'starttls',
    ignoreTLS: server.security === 'none',
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketCloseTimeout: 0,
    tls: tlsOptions(server),
  })
  const { promise: broken, reject: breakOff } = Promise.withResolvers<never>()
  broken.catch(() => {})
  connection.on('error', breakOff)
  connection.once('end', () => breakOff(new Error('the connection ended')))
  const stop = () => connection.close()
  signal?.addEventListener('abort', stop, { once: true })
  const step = <T>(begin: (done: (error: Error | null | undefined, value?: T) => void) => void) =>
    Promise.race([
      broken,
      new Promise<T | undefined>((resolve, reject) =>
        begin((error, value) => (error ? reject(error) : resolve(value))),
      ),
    ])
  try {
    await step<unknown>((done) => connection.connect((error) => done(error)))
    const { user, password } = server
    if (user !== undefined && password !== undefined) {
      await step<unknown>((done) => connection.login({ user, pass: password }, (error) => done(error)))
    }
    const sent = await step<SentInfo>((done) =>
      connection.send(envelopeOf(mail), mail.raw, (error, info) => done(error, info)),
    )
    return (sent?.rejectedErrors ?? []).map((error) => ({
      address: error.recipient ?? 'a recipient',
      reason: said(error, server) || 'no reason given',
    }))
  } catch (error) {
    throw isRetakeError(error) ? error : smtpFailure(error, server)
  } finally {
    signal?.removeEventListener('abort', stop)
    connection.removeListener('error', breakOff)
    // What it says while it closes concerns nobody: the mail was taken, or the failure is known.
    connection.on('error', () => {})
    connection.close()
  }
}

interface SentInfo {
  readonly rejectedErrors?: readonly SmtpError[] | undefined
}

type SmtpError = Error & {
  readonly code?: string | undefined
  readonly responseCode?: number | undefined
  readonly response?: string | undefined
  readonly recipient?: string | undefined
}

function envelopeOf(mail: Mail) {
  const { from, to, reportAs } = mail
  const dsn = { ret: 'HDRS', envid: reportAs, notify: ['SUCCESS', 'FAILURE'] } as const
  return { from, to: [...to], ...(reportAs === undefined ? {} : { dsn: { ...dsn, notify: [...dsn.notify] } }) }
}

function tlsOptions(server: SmtpServer): ConnectionOptions {
  return { minVersion: 'TLSv1.2', ...(server.ca === undefined ? {} : { ca: server.ca }) }
}

/** RFC 5321 section 4.2.1: 4xx may pass, such as greylisting; 5xx does not. */
function smtpFailure(error: unknown, server: SmtpServer): RetakeError {
  const { code, responseCode }: Partial<SmtpError> = error instanceof Error ? error : {}
  const peer = `The mail server ${server.host}`
  const words = error instanceof Error ? said(error, server) : ''
  const answer = words === '' ? '' : `: ${words}`
  const details = responseCode === undefined ? {} : { status: responseCode }
  if (responseCode !== undefined && responseCode >= 400 && responseCode < 500) {
    return new RetakeError('notice.failed', `${peer} did not take the mail yet${answer}.`, { details })
  }
  if (code === 'EAUTH' || responseCode === 530 || responseCode === 535 || code === 'ENOAUTH') {
    return new RetakeError('notice.denied', `${peer} did not accept the user or the password${answer}.`, {
      hint: 'Correct `user` and `password` of the channel; some services want a password made for this program.',
      details,
    })
  }
  if (responseCode !== undefined && responseCode >= 500) {
    return new RetakeError('notice.refused', `${peer} refused the mail${answer}.`, {
      hint: 'Correct `from` and `to` of the channel, or let the mail server accept them.',
      details,
    })
  }
  if (code === 'ETLS' || /certificate|self.signed|altname|SSL|TLS/i.test(error instanceof Error ? error.message : '')) {
    return new RetakeError('notice.refused', `${peer} did not agree on an encrypted connection that can be trusted.`, {
      hint: 'Use the name that its certificate has, give its authority as `caFile`, or use the address that its operator gives (smtp:// or smtps://).',
    })
  }
  const why =
    systemErrorCode(error instanceof Error ? error.cause : undefined) ?? (code?.startsWith('E') ? code : undefined)
  return new RetakeError('notice.unreachable', `${peer} could not be reached, or hung up${why ? ` (${why})` : ''}.`, {
    hint: `Look whether ${server.host}:${server.port} can be reached from this machine.`,
  })
}

/** What the server answered, without the secrets. */
function said(error: SmtpError, { user, password }: SmtpServer): string {
  const secrets = [password, user === undefined ? undefined : Buffer.from(`\0${user}\0${password}`).toString('base64')]
  return quote(
    error.response ?? '',
    secrets.filter((secret) => secret !== undefined),
  )
}
