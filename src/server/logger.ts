/** What the server tells: one JSON object a line, with secrets taken out (R11). */
import { type DestinationStream, pino } from 'pino'
import type { Logger } from '../base/progress.ts'

/** Fields that may hold a secret, at any of the first levels. */
const SECRET_FIELDS = ['password', 'token', 'secret', 'key', 'authorization', 'databaseUrl', 'url']
/** A password in an address, wherever a message quotes one. */
const IN_ADDRESS = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]*@/gi

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export function jsonLogger(
  destination: DestinationStream,
  { level, server }: { readonly level: LogLevel; readonly server?: string | undefined },
): Logger {
  const log = pino(
    {
      level,
      base: server === undefined ? {} : { server },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '[taken out]' },
    },
    destination,
  )
  const say =
    (at: LogLevel) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      log[at](fields, withoutPasswords(message))
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}

export function withoutPasswords(text: string): string {
  return text.replaceAll(IN_ADDRESS, '$1:***@')
}
