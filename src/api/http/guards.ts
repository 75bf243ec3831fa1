/** Who may ask: the token, and the name under which the server is asked. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { RetakeError } from '../../base/errors.ts'
import { refusal } from './refusals.ts'

const MINIMUM_TOKEN_LENGTH = 16

/** @throws RetakeError `config.invalid` */
export function assertToken(token: string): void {
  if (token.length >= MINIMUM_TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(token)) return
  throw new RetakeError(
    'config.invalid',
    'The token of the API is too short to be one, or holds characters that no header carries.',
    {
      hint: `Use at least ${MINIMUM_TOKEN_LENGTH} characters without spaces, such as the output of: openssl rand -hex 32`,
    },
  )
}

/** Compares digests, which are of one length: how long it takes tells nothing about the token. */
export function tokenGuard(token: string): (header: string | null) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return (header) => {
    const [, sent = ''] = /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? '') ?? []
    return timingSafeEqual(digest(sent), expected)
  }
}

export const deniedToken = () =>
  refusal('api.denied', 'The token was not sent, or is not the one of this server.', {
    status: 401,
    hint: 'Send it as: Authorization: Bearer TOKEN',
    headers: { 'www-authenticate': 'Bearer realm="retake"' },
  })

/**
 * A page of the web can make a browser on this machine ask us, by a name of its own that it lets point here (DNS rebinding). Such a
 * request carries that name, so only addresses and known names are answered.
 */
export function hostGuard(allowed: readonly string[]): (host: string | null) => boolean {
  const known = new Set(['localhost', ...allowed.map((name) => name.toLowerCase())])
  return (host) => {
    const name = hostName(host ?? '')
    return name !== undefined && (isIP(name) !== 0 || known.has(name) || name.endsWith('.localhost'))
  }
}

/** Without its port; undefined: it is no host. */
function hostName(host: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([\da-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '')
}

export const deniedHost = () =>
  refusal('api.denied', 'The request came under a name that this server does not know as its own.', {
    status: 421,
    hint: 'Ask by address or as localhost, or add the name to the allowed hosts of the server.',
  })
