/**
 * libpq's `sslmode` in terms of Node's TLS.
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 *
 * | mode | tried in order | chain checked | host name checked |
 * |---|---|---|---|
 * | disable | plain | | |
 * | allow | plain, TLS | when a root certificate is there | no |
 * | prefer (default) | TLS, plain | when a root certificate is there | no |
 * | require | TLS | when a root certificate is there | no |
 * | verify-ca | TLS | yes | no |
 * | verify-full | TLS | yes | yes |
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import {
  checkServerIdentity,
  getCACertificates,
  type SecureVersion,
  type ConnectionOptions as TlsOptions,
} from 'node:tls'
import { RetakeError } from '../../base/errors.ts'
import type { ConnectionOptions } from './conninfo.ts'

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof modes)[number]

/** One way to open the connection: with TLS, or plain. */
export type TlsWay = TlsOptions | false

/**
 * The ways to try, in order, for a TCP host.
 * @param hostName the name that a certificate must carry for verify-full; with `hostaddr` it is not the address that is dialled
 * @throws RetakeError `config.invalid`
 */
export function tlsWays(options: ConnectionOptions, hostName: string, env: NodeJS.ProcessEnv): readonly TlsWay[] {
  const mode = readMode(options)
  if (mode === 'disable') return [false]
  const secure = tlsOptions(options, { mode, hostName, env })
  if (mode === 'allow') return [false, secure]
  if (mode === 'prefer') return [secure, false]
  return [secure]
}

function readMode(options: ConnectionOptions): SslMode {
  const system = options.sslrootcert === 'system'
  const mode = modes.find((known) => known === (options.sslmode ?? (system ? 'verify-full' : 'prefer')))
  if (!mode) throw invalid(`sslmode "${options.sslmode}" is not known`, `Use one of ${modes.join(', ')}.`)
  if (system && mode !== 'verify-full') {
    throw invalid(
      `sslmode "${mode}" is too weak for sslrootcert=system`,
      'Use sslmode=verify-full: anyone can get a certificate of a public authority.',
    )
  }
  if (options.sslnegotiation === 'direct' && modes.indexOf(mode) < modes.indexOf('require')) {
    throw invalid(`sslmode "${mode}" does not go with sslnegotiation=direct`, 'Use sslmode=require or stronger.')
  }
  return mode
}

function tlsOptions(
  options: ConnectionOptions,
  { mode, hostName, env }: { readonly mode: SslMode; readonly hostName: string; readonly env: NodeJS.ProcessEnv },
): TlsOptions {
  const folder = join(env.HOME || homedir(), '.postgresql')
  const ca = rootCertificates(options.sslrootcert, { mode, folder })
  const certPath =
    options.sslcertmode === 'disable' ? undefined : chosenFile(options.sslcert, join(folder, 'postgresql.crt'))
  const keyPath = certPath && chosenFile(options.sslkey, join(folder, 'postgresql.key'))
  if (certPath && !keyPath)
    throw invalid(`the certificate ${certPath} has no private key beside it`, 'Set sslkey (PGSSLKEY).')
  const crlPath = ca && chosenFile(options.sslcrl, join(folder, 'root.crl'))
  return {
    rejectUnauthorized: ca !== undefined,
    // pg fills in the dialled host where none is set here; an address is not a server name (RFC 6066).
    checkServerIdentity:
      mode === 'verify-full' ? (_dialled, certificate) => checkServerIdentity(hostName, certificate) : () => undefined,
    minVersion: protocolVersion(options.ssl_min_protocol_version) ?? 'TLSv1.2',
    ...(options.ssl_max_protocol_version ? { maxVersion: protocolVersion(options.ssl_max_protocol_version) } : {}),
    ...(ca ? { ca } : {}),
    ...(certPath && keyPath ? { cert: readPem(certPath), key: readPem(keyPath) } : {}),
    ...(options.sslpassword ? { passphrase: options.sslpassword } : {}),
    ...(crlPath ? { crl: readPem(crlPath) } : {}),
    ...(/^[\d.]+$|:/.test(hostName) ? {} : { servername: hostName }),
  }
}

/** Undefined: the chain is not checked, because nothing is there to check it against. */
function rootCertificates(
  given: string | undefined,
  { mode, folder }: { readonly mode: SslMode; readonly folder: string },
): string[] | undefined {
  if (given === 'system') return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
  const path = given ?? join(folder, 'root.crt')
  if (existsSync(path)) return [readPem(path)]
  if (given === undefined && !mode.startsWith('verify')) return undefined
  throw invalid(
    `the root certificate ${path} does not exist, so the server's certificate cannot be checked`,
    'Set sslrootcert (PGSSLROOTCERT) to the file of the certificate authority, or to "system".',
  )
}

function chosenFile(given: string | undefined, fallback: string): string | undefined {
  return given ?? (existsSync(fallback) ? fallback : undefined)
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`the file ${path} cannot be read`, 'Check that it exists and that this user may read it.', error)
  }
}

function protocolVersion(text: string | undefined): SecureVersion | undefined {
  if (text === undefined) return undefined
  const known = (['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).find(
    (version) => version.toLowerCase() === text.toLowerCase(),
  )
  if (!known) throw invalid(`"${text}" is not a TLS version`, 'Use TLSv1.2 or TLSv1.3.')
  return known
}

function invalid(why: string, hint: string, cause?: unknown): RetakeError {
  return new RetakeError('config.invalid', `TLS cannot be set up as asked: ${why}.`, { hint, cause })
}
