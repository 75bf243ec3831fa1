/**
 * libpq connection strings: URIs and `keyword=value` lists, read as libpq reads them.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 * No message of this file repeats the string, because it may hold a password (R11).
 */
import { RetakeError } from '../../base/errors.ts'

/** Options by libpq's names (`host`, `port`, `dbname`, `sslmode`, …), not yet checked. Several hosts are separated by commas. */
export type ConnectionOptions = Readonly<Record<string, string>>

/**
 * Reads a URI or a `keyword=value` list.
 * @throws RetakeError `config.invalid`
 */
export function parseConnectionString(text: string): ConnectionOptions {
  const trimmed = text.trim()
  const scheme = /^postgres(?:ql)?:\/\//.exec(trimmed)
  if (scheme) return parseUri(trimmed.slice(scheme[0].length))
  if (trimmed.includes('=')) return parseKeywords(trimmed)
  throw invalid('it is neither a URI (postgres://…) nor a list of keyword=value')
}

function parseUri(rest: string): ConnectionOptions {
  const options: Record<string, string> = {}
  // libpq takes everything before the first "@" (and before any "/") as user and password.
  const userInfo = /^([^@/]*)@/.exec(rest)
  const afterUser = userInfo ? rest.slice(userInfo[0].length) : rest
  if (userInfo?.[1] !== undefined) {
    const colon = userInfo[1].indexOf(':')
    const user = colon < 0 ? userInfo[1] : userInfo[1].slice(0, colon)
    if (user !== '') options.user = decode(user, 'the user name')
    if (colon >= 0) options.password = decode(userInfo[1].slice(colon + 1), 'the password')
  }
  const [, hosts = '', database, query] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(afterUser) ?? []
  Object.assign(options, parseHosts(hosts))
  if (database) options.dbname = decode(database, 'the database name')
  for (const pair of query ? query.split('&') : []) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw invalid('a parameter after "?" is not of the form name=value')
    const name = decode(pair.slice(0, equals), 'a parameter name')
    options[name] = decode(pair.slice(equals + 1), `the value of ${name}`)
  }
  // JDBC's spelling, which libpq accepts too.
  if (options.ssl === 'true' && options.sslmode === undefined) options.sslmode = 'require'
  if (options.ssl === 'true') delete options.ssl
  return options
}

function parseHosts(text: string): ConnectionOptions {
  if (text === '') return {}
  const hosts: string[] = []
  const ports: string[] = []
  for (const part of text.split(',')) {
    if (part.includes('@')) {
      throw invalid(
        'the host name contains "@"',
        'Write special characters of the password percent-encoded: "@" as %40, "/" as %2F, ":" as %3A.',
      )
    }
    const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(part)
    if (!match) {
      throw invalid(
        'a host or port in it cannot be read',
        'Write an IPv6 address in brackets, [::1]:5432, and percent-encode special characters of the password.',
      )
    }
    hosts.push(decode(match[1] ?? match[2] ?? '', 'the host name'))
    ports.push(match[3] ?? '')
  }
  const options: Record<string, string> = {}
  if (hosts.some((host) => host !== '')) options.host = hosts.join(',')
  if (ports.some((port) => port !== '')) options.port = ports.join(',')
  return options
}

function decode(text: string, what: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw invalid(`${what} has a broken percent-encoding`, 'Write a literal "%" as %25.')
  }
  if (decoded.includes('\0')) throw invalid(`${what} contains %00`)
  return decoded
}

function parseKeywords(text: string): ConnectionOptions {
  const options: Record<string, string> = {}
  const pattern = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?=\s|$)/gsy
  let position = 0
  while (position < text.trimEnd().length) {
    pattern.lastIndex = position
    const match = pattern.exec(text)
    if (!match?.[1]) {
      throw invalid(
        'it cannot be read as keyword=value pairs',
        "Put a value with blanks in single quotes and write a quote or backslash in it as \\' or \\\\.",
      )
    }
    options[match[1]] = (match[2] ?? match[3] ?? '').replace(/\\(.)/gs, '$1')
    position = pattern.lastIndex
  }
  return options
}

function invalid(why: string, hint?: string): RetakeError {
  return new RetakeError('config.invalid', `The connection string cannot be used: ${why}.`, {
    hint: hint ?? 'Write it as postgres://user@host:5432/database or as "host=… port=5432 user=… dbname=…".',
  })
}
