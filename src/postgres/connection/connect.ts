/**
 * Opens a `pg` client to a target: every host in order, and every way into it that `sslmode` allows.
 * A host that cannot be reached leads to the next; one that refuses user or password does not, as in libpq.
 */
import type { Socket } from 'node:net'
import pg from 'pg'
import { throwIfAborted } from '../../base/abort.ts'
import { abortedError, isRetakeError, RetakeError } from '../../base/errors.ts'
import { requestCancel } from './cancel.ts'
import type { ConnectionSettings, ConnectionTarget, HostTarget, SessionAttributes } from './config.ts'
import type { ConnectOptions } from './connect-options.ts'
import {
  type ConnectionContext,
  isRefusedByHba,
  isTlsFailure,
  isTlsNotOffered,
  networkError,
  serverMessageOf,
} from './errors.ts'

export interface ConnectedClient {
  readonly client: pg.Client
  /** Asks the server to cancel the running command; see {@link requestCancel}. */
  readonly cancel: () => Promise<void>
  readonly context: ConnectionContext
  /** What the server reported about itself at login, such as `server_version` and `in_hot_standby`. */
  readonly parameters: ReadonlyMap<string, string>
}

/** @throws RetakeError `postgres.unreachable`, `postgres.auth`, `postgres.privilege`, `postgres.tls`, `postgres.error`, `aborted` */
export async function connect(target: ConnectionTarget, options: ConnectOptions = {}): Promise<ConnectedClient> {
  const hosts = target.hosts ?? [{ label: target.display, ways: [target.config] }]
  const passes: readonly SessionAttributes[] =
    target.sessionAttributes === 'prefer-standby' ? ['standby', 'any'] : [target.sessionAttributes ?? 'any']
  let failure: RetakeError | undefined
  for (const wanted of passes) {
    for (const host of hosts) {
      try {
        const connected = await connectHost(target, host, options)
        if (hasAttributes(connected.parameters, wanted)) return connected
        await connected.client.end()
        failure = new RetakeError('postgres.unreachable', `${host.label} is not a ${wanted} server.`, {
          hint: 'Check the hosts and target_session_attrs.',
        })
      } catch (error) {
        failure = networkError(error, contextOf(target, host))
        if (failure.code !== 'postgres.unreachable' && failure.code !== 'postgres.connection-lost') throw failure
      }
    }
  }
  throw failure ?? new RetakeError('config.invalid', 'No host is named.', { hint: 'Set host (PGHOST).' })
}

async function connectHost(
  target: ConnectionTarget,
  host: HostTarget,
  options: ConnectOptions,
): Promise<ConnectedClient> {
  let failure: unknown
  for (const way of host.ways) {
    try {
      return await connectOnce(target, { host, way, options })
    } catch (error) {
      // Of two failures the first tells more, for the second way is only a substitute; unless the first was just "no TLS here".
      if (failure === undefined || isTlsNotOffered(failure)) failure = error
      if (!otherWayMayHelp(error, way)) break
    }
  }
  throw failure
}

/** Plain after TLS only when TLS itself failed; either after the other when pg_hba.conf refused, since its lines may name one of them. */
function otherWayMayHelp(error: unknown, way: ConnectionSettings): boolean {
  const message = serverMessageOf(error)
  return message ? isRefusedByHba(message) : way.ssl !== false && isTlsFailure(error)
}

interface Attempt {
  readonly host: HostTarget
  readonly way: ConnectionSettings
  readonly options: ConnectOptions
}

async function connectOnce(target: ConnectionTarget, { host, way, options }: Attempt): Promise<ConnectedClient> {
  throwIfAborted(options.signal)
  // As with libpq's own tools, a physical walsender belongs to no database, and the password file calls it "replication".
  const database = options.replication === 'true' ? 'replication' : (way.database ?? 'postgres')
  const password = host.passwordFor?.(database) ?? way.password
  const binding = { bound: false }
  const config: pg.ClientConfig & { replication?: string } = {
    ...way,
    database,
    password: () =>
      releasePassword(password, {
        context: contextOf(target, host),
        refuse: target.requireChannelBinding === true && !binding.bound,
      }),
    keepAlive: true,
    application_name: options.applicationName ?? way.application_name ?? 'retake',
    ...(options.connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: options.connectTimeoutMs }),
    ...(options.replication ? { replication: options.replication } : {}),
  }
  const client = new pg.Client(config)
  const parameters = new Map<string, string>()
  client.connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
    parameters.set(status.parameterName, status.parameterValue)
  })
  client.connection.on('authenticationSASL', (offer: { mechanisms: string[] }) => {
    binding.bound = way.ssl !== false && offer.mechanisms.includes('SCRAM-SHA-256-PLUS')
  })
  // A connection that breaks between commands is noticed by the next one; without a listener Node would end the process.
  client.on('error', () => {})
  await untilConnected(client, options.signal)
  if (target.requireChannelBinding && !binding.bound) {
    await client.end()
    throw channelBindingError(contextOf(target, host))
  }
  return { client, cancel: () => requestCancel(client, config), parameters, context: contextOf(target, host) }
}

async function untilConnected(client: pg.Client, signal: AbortSignal | undefined): Promise<void> {
  const onAbort = () => void destroySocket(client)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await client.connect()
  } catch (error) {
    destroySocket(client)
    throw signal?.aborted ? (isRetakeError(signal.reason) ? signal.reason : abortedError(signal.reason)) : error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The socket below a client: pg's types show it as a Duplex, but it is always a net or TLS socket here. */
export function socketOf(client: pg.Client): Socket {
  return client.connection.stream as Socket
}

function destroySocket(client: pg.Client): void {
  socketOf(client).destroy()
}

type Password = ConnectionSettings['password']

/** Called by pg when the server asks for a password, before anything derived from it is sent. */
async function releasePassword(
  password: Password,
  { context, refuse }: { readonly context: ConnectionContext; readonly refuse: boolean },
): Promise<string> {
  if (refuse) throw channelBindingError(context)
  const text = typeof password === 'function' ? await password() : password
  if (text) return text
  throw new RetakeError('postgres.auth', `The server ${context.display} asks for a password, and none was given.`, {
    hint:
      context.passwordNote ?? 'Set PGPASSWORD, or add a line host:port:database:user:password to ~/.pgpass (mode 600).',
    details: { server: context.display },
  })
}

function channelBindingError(context: ConnectionContext): RetakeError {
  return new RetakeError(
    'postgres.auth',
    `The server ${context.display} does not bind the login to the TLS channel, which channel_binding=require asks for.`,
    {
      hint: 'Use sslmode=verify-full and a SCRAM password on the server, or channel_binding=prefer.',
      details: { server: context.display },
    },
  )
}

function contextOf(target: ConnectionTarget, host: HostTarget): ConnectionContext {
  return {
    display: target.display,
    user: target.config.user ?? '',
    database: target.config.database ?? '',
    passwordNote: host.passwordNote,
  }
}

/** https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS; both parameters are reported since 14. */
function hasAttributes(parameters: ReadonlyMap<string, string>, wanted: SessionAttributes): boolean {
  const standby = parameters.get('in_hot_standby') === 'on'
  const readOnly = standby || parameters.get('default_transaction_read_only') === 'on'
  switch (wanted) {
    case 'any':
    case 'prefer-standby':
      return true
    case 'read-write':
      return !readOnly
    case 'read-only':
      return readOnly
    case 'primary':
      return !standby
    case 'standby':
      return standby
  }
}

/** `server_version` as a number, as in `server_version_num`: 170010 for `17.10 (Debian 17.10-1)`. */
export function versionNumber(serverVersion: string | undefined): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(serverVersion ?? '')
  return match ? Number(match[1]) * 10_000 + Number(match[2] ?? 0) : 0
}
