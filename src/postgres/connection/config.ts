/**
 * Where a server is and how to enter it, from libpq's sources: a URL or `keyword=value` string, `PG*` variables, a service file,
 * the password file, certificate files. One deviation: without a database name it is `postgres`, not the user's name, because
 * Retake works on whole clusters.
 */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { RetakeError } from '../../base/errors.ts'
import { type ConnectionOptions, parseConnectionString } from './conninfo.ts'
import { gatherOptions } from './options.ts'
import { openPasswordFile, type PasswordFile } from './password-file.ts'
import { type TlsWay, tlsWays } from './tls.ts'

/**
 * One way into one host: the part of `pg`'s client configuration that is used, declared here so that the published types need
 * nobody else's.
 */
export interface ConnectionSettings {
  /** A name, an address, or the directory of a Unix-domain socket. */
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly database?: string
  readonly password?: string | (() => string | Promise<string>)
  /** False: no TLS. */
  readonly ssl?: boolean | TlsOptions
  readonly sslnegotiation?: 'postgres' | 'direct'
  readonly enableChannelBinding?: boolean
  readonly connectionTimeoutMillis?: number
  readonly keepAlive?: boolean
  readonly keepAliveInitialDelayMillis?: number
  readonly application_name?: string
  /** Command-line options for the session, such as `-c statement_timeout=0`. */
  readonly options?: string
}

export interface ConnectionTarget {
  /** For `pg`: the first host in the first way. Open it through {@link openSql} or {@link openReplication}, which try all of them. */
  readonly config: ConnectionSettings
  /** `postgres://user@host:port/database`; never a password. */
  readonly display: string
  /** All hosts, in the order to try them. Absent: only `config`. */
  readonly hosts?: readonly HostTarget[]
  /** What kind of server is wanted among several hosts. Default: any. */
  readonly sessionAttributes?: SessionAttributes
  /** Refuse a server that does not bind SCRAM to the TLS channel (`channel_binding=require`). */
  readonly requireChannelBinding?: boolean
}

export interface HostTarget {
  /** `host:port`, for messages. */
  readonly label: string
  /** One or two ways into it: `sslmode` prefer is TLS, then plain. */
  readonly ways: readonly ConnectionSettings[]
  /** The password file's answer for a database; absent when the password was given in another way. */
  readonly passwordFor?: (database: string) => string | undefined
  /** Where a password was looked for, when none was found: part of a hint. */
  readonly passwordNote?: string | undefined
}

const sessionAttributes = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const
export type SessionAttributes = (typeof sessionAttributes)[number]

const DEFAULT_PORT = 5432
const DEFAULT_CONNECT_TIMEOUT_MS = 30_000
const SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp']

/**
 * Resolves a connection from a string (a URL or `keyword=value`) and the environment; the string wins.
 *
 *     resolveConnection('postgres://backup@db.example.com/app?sslmode=verify-full&sslrootcert=system', process.env)
 *
 * Reads the password file, the service file and certificates, and nothing else; it does not connect.
 * @throws RetakeError `config.invalid`
 */
export function resolveConnection(url: string | undefined, env: NodeJS.ProcessEnv): ConnectionTarget {
  const options = gatherOptions(url ? parseConnectionString(url) : {}, env)
  refuseUnkept(options)
  const user = options.user ?? operatingSystemUser()
  const database = options.dbname ?? 'postgres'
  const passwordFile = openPasswordFile(options.passfile, env)
  const hosts = listHosts(options).map((host) => hostTarget(host, { options, env, user, database, passwordFile }))
  const config = hosts[0]?.ways[0]
  if (!config) throw invalid('no host is named', 'Set host (PGHOST).')
  return {
    config,
    display: `postgres://${encodeURIComponent(user)}@${hosts.map((host) => host.label).join(',')}/${encodeURIComponent(database)}`,
    hosts,
    sessionAttributes: readSessionAttributes(options.target_session_attrs),
    requireChannelBinding: options.channel_binding === 'require',
  }
}

/** An option with a promise that cannot be kept is refused rather than ignored. */
function refuseUnkept(options: ConnectionOptions): void {
  if (options.gssencmode === 'require')
    throw invalid('GSSAPI encryption is not supported', 'Use TLS: sslmode=verify-full.')
  const binding = options.channel_binding
  if (binding !== undefined && !['disable', 'prefer', 'require'].includes(binding)) {
    throw invalid(`channel_binding "${binding}" is not known`, 'Use disable, prefer or require.')
  }
  const negotiation = options.sslnegotiation
  if (negotiation !== undefined && negotiation !== 'postgres' && negotiation !== 'direct') {
    throw invalid(`sslnegotiation "${negotiation}" is not known`, 'Use postgres or direct.')
  }
}

interface Host {
  readonly name: string
  /** What is dialled; differs from the name with `hostaddr`. */
  readonly address: string
  readonly port: number
}

function listHosts(options: ConnectionOptions): Host[] {
  const names = (options.host ?? '').split(',')
  const addresses = (options.hostaddr ?? '').split(',')
  const ports = (options.port ?? '').split(',')
  const count = Math.max(options.host ? names.length : 0, options.hostaddr ? addresses.length : 0, 1)
  if (options.host && options.hostaddr && names.length !== addresses.length) {
    throw invalid(
      `${names.length} host names do not match ${addresses.length} addresses`,
      'Give one hostaddr for each host.',
    )
  }
  if (ports.length > 1 && ports.length !== count) {
    throw invalid(`${ports.length} ports do not match ${count} hosts`, 'Give one port for each host, or one for all.')
  }
  return Array.from({ length: count }, (_, index) => {
    const port = readPort(ports.length > 1 ? ports[index] : ports[0])
    const name = names[index] || addresses[index] || defaultHost(port)
    return { name, address: addresses[index] || name, port }
  })
}

/** The same server and user, another database. */
export function inDatabase(target: ConnectionTarget, database: string): ConnectionTarget {
  const to = (way: ConnectionSettings): ConnectionSettings => ({ ...way, database })
  return {
    ...target,
    config: to(target.config),
    display: target.display.replace(/\/[^/]*$/, `/${database}`),
    ...(target.hosts ? { hosts: target.hosts.map((host) => ({ ...host, ways: host.ways.map(to) })) } : {}),
  }
}

function readPort(text: string | undefined): number {
  if (!text) return DEFAULT_PORT
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535)
    throw invalid(`"${text}" is not a port`, 'Use a number from 1 to 65535.')
  return port
}

/** Without a host libpq uses the Unix-domain socket in the directory it was built with; Debian's is tried first. */
function defaultHost(port: number): string {
  if (process.platform === 'win32') return 'localhost'
  return SOCKET_DIRECTORIES.find((directory) => existsSync(`${directory}/.s.PGSQL.${port}`)) ?? 'localhost'
}

interface HostContext {
  readonly options: ConnectionOptions
  readonly env: NodeJS.ProcessEnv
  readonly user: string
  readonly database: string
  readonly passwordFile: PasswordFile
}

function hostTarget(host: Host, context: HostContext): HostTarget {
  const { options, user, database, passwordFile } = context
  const socket = host.address.startsWith('/')
  const given = options.password
  const passwordFor = (name: string) =>
    passwordFile.find({
      host: SOCKET_DIRECTORIES.includes(host.name) ? 'localhost' : host.name,
      port: host.port,
      database: name,
      user,
    })
  const password = given ?? passwordFor(database)
  const base: ConnectionSettings = {
    host: host.address,
    port: host.port,
    user,
    database,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    connectionTimeoutMillis: connectTimeoutMs(options.connect_timeout),
    application_name: options.application_name ?? options.fallback_application_name ?? 'retake',
    ...(password === undefined ? {} : { password }),
    ...(options.options ? { options: options.options } : {}),
    ...(options.channel_binding && options.channel_binding !== 'disable' ? { enableChannelBinding: true } : {}),
  }
  // As in libpq, TLS settings mean nothing on a Unix-domain socket.
  const ways = socket ? [false as const] : tlsWays(options, host.name, context.env)
  return {
    label: `${hostLabel(host.name)}:${host.port}`,
    ways: ways.map((way) => withTls(base, way, options)),
    ...(given === undefined ? { passwordFor } : {}),
    passwordNote: passwordFile.ignored,
  }
}

function withTls(base: ConnectionSettings, way: TlsWay, options: ConnectionOptions): ConnectionSettings {
  return {
    ...base,
    ssl: way,
    sslnegotiation: way !== false && options.sslnegotiation === 'direct' ? 'direct' : 'postgres',
  }
}

function connectTimeoutMs(text: string | undefined): number {
  if (text === undefined) return DEFAULT_CONNECT_TIMEOUT_MS
  if (!/^-?\d+$/.test(text))
    throw invalid(`connect_timeout "${text}" is not a number of seconds`, 'Use a whole number; 0 waits for ever.')
  return Math.max(0, Number(text)) * 1000
}

function readSessionAttributes(text: string | undefined): SessionAttributes {
  const known = sessionAttributes.find((name) => name === (text ?? 'any'))
  if (!known)
    throw invalid(`target_session_attrs "${text}" is not known`, `Use one of ${sessionAttributes.join(', ')}.`)
  return known
}

function hostLabel(name: string): string {
  return name.includes(':') ? `[${name}]` : encodeURIComponent(name)
}

function operatingSystemUser(): string {
  try {
    return userInfo().username
  } catch (error) {
    throw invalid('no user name is given, and this process has none', 'Set user (PGUSER).', error)
  }
}

function invalid(why: string, hint: string, cause?: unknown): RetakeError {
  return new RetakeError('config.invalid', `The connection cannot be set up: ${why}.`, { hint, cause })
}
