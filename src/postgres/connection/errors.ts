/**
 * What a server or the network says, as errors of ours. A server's messages are translated by its `lc_messages`, so decisions rest
 * on SQLSTATE and on the name of the routine that raised the error; message texts are only read for the facts in them.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import type { ErrorCode, RetryAdvice } from '../../base/error-codes.ts'
import { isRetakeError, RetakeError, systemErrorCode } from '../../base/errors.ts'

/** The fields of an ErrorResponse or NoticeResponse that are used. https://www.postgresql.org/docs/current/protocol-error-fields.html */
export interface ServerMessage {
  /** Never translated: ERROR, FATAL, PANIC, WARNING, NOTICE, … */
  readonly severity: string
  readonly sqlState: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** The C function that raised it. */
  readonly routine?: string | undefined
}

/** Who talks to whom, for messages and hints. No password. */
export interface ConnectionContext {
  /** `postgres://user@host:port/database` */
  readonly display: string
  readonly user: string
  readonly database: string
  /** Where a password was looked for in vain, if there is something to say. */
  readonly passwordNote?: string | undefined
}

interface Verdict {
  readonly code: ErrorCode
  readonly sentence: string
  readonly hint?: string | undefined
  readonly retry?: RetryAdvice | undefined
  readonly details?: Readonly<Record<string, unknown>>
}

/** The error for what the server answered. */
export function serverError(message: ServerMessage, context: ConnectionContext, cause?: unknown): RetakeError {
  const verdict = judge(message, context)
  return new RetakeError(verdict.code, verdict.sentence, {
    hint: verdict.hint ?? message.hint,
    retry: verdict.retry,
    details: {
      server: context.display,
      sqlState: message.sqlState,
      severity: message.severity,
      ...(message.detail ? { detail: message.detail } : {}),
      ...(message.routine ? { routine: message.routine } : {}),
      ...verdict.details,
    },
    cause,
  })
}

/** Whether the server has no pg_hba.conf line that lets this connection in. */
export function isRefusedByHba(message: Pick<ServerMessage, 'sqlState' | 'routine' | 'message'>): boolean {
  return (
    message.sqlState === '28000' && (message.routine === 'ClientAuthentication' || /pg_hba\.conf/.test(message.message))
  )
}

function judge(message: ServerMessage, context: ConnectionContext): Verdict {
  const said = `${context.display}: ${message.message}`
  switch (message.sqlState) {
    case '28P01':
      return {
        code: 'postgres.auth',
        sentence: `The server refused the password of user "${context.user}". ${said}`,
        hint: `Check PGPASSWORD or the password file${context.passwordNote ? ` (${context.passwordNote})` : ''}, or set it on the server: ALTER ROLE ${quoteName(context.user)} PASSWORD '…'.`,
      }
    case '28000':
      return isRefusedByHba(message) ? hbaVerdict(message, context) : loginVerdict(said, context)
    case '42501':
      return privilegeVerdict(said, message, context)
    case '3D000':
      return {
        code: 'config.invalid',
        sentence: `There is no database "${context.database}". ${said}`,
        hint: 'Name an existing database, such as postgres.',
      }
    case '53300':
      return {
        code: 'postgres.error',
        sentence: `The server has no connection free for this. ${said}`,
        hint: 'Raise max_wal_senders or max_connections (needs a restart), or end unused connections: SELECT pid, application_name FROM pg_stat_replication.',
        retry: 'later',
      }
    case '53400':
      return {
        code: 'postgres.slot',
        sentence: `The server has no replication slot free. ${said}`,
        hint: 'Drop an unused slot (SELECT slot_name, active FROM pg_replication_slots), or raise max_replication_slots (needs a restart).',
      }
    case '57P03':
      return {
        code: 'postgres.unreachable',
        sentence: `The server does not accept connections yet. ${said}`,
        hint: 'Wait until it has started, then try again.',
      }
    default:
      return slotVerdict(said, message) ?? walVerdict(said, message) ?? generalVerdict(said, message)
  }
}

function hbaVerdict(message: ServerMessage, context: ConnectionContext): Verdict {
  const line = hbaLine(message.message, context)
  return {
    code: 'postgres.privilege',
    sentence: `The server's pg_hba.conf does not let user "${context.user}" in. ${context.display}: ${message.message}`,
    hint: `Add this line to pg_hba.conf, above any line that rejects it, then run SELECT pg_reload_conf():\n${line}`,
    details: { hbaLine: line },
  }
}

/**
 * The pg_hba.conf line that would have let the connection in; address and encryption as the server saw them.
 * `all` does not cover physical replication, hence `replication` in the place of the database.
 */
export function hbaLine(message: string, context: Pick<ConnectionContext, 'user' | 'database'>): string {
  const address =
    /host "([^"]+)"/.exec(message)?.[1] ?? /"(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]+)"/i.exec(message)?.[1]
  const database = /replication connection/.test(message) ? 'replication' : quoteHba(context.database)
  const columns = [database, quoteHba(context.user)]
  if (address === '[local]') return ['local', ...columns, 'scram-sha-256'].join('  ')
  const kind = /SSL encryption|SSL on/.test(message) ? 'hostssl' : 'host'
  const network = address === undefined ? 'samehost' : `${address}${address.includes(':') ? '/128' : '/32'}`
  return [kind, ...columns, network, 'scram-sha-256'].join('  ')
}

function loginVerdict(said: string, context: ConnectionContext): Verdict {
  return {
    code: 'postgres.auth',
    sentence: `The server did not accept user "${context.user}". ${said}`,
    hint: `Check the user name; a role for Retake is made by: CREATE ROLE ${quoteName(context.user)} LOGIN REPLICATION PASSWORD '…'.`,
  }
}

function privilegeVerdict(said: string, message: ServerMessage, context: ConnectionContext): Verdict {
  const replication =
    message.routine === undefined ||
    /InitPostgres|BaseBackup|Replication|WalSnd|CheckSlotPermissions/i.test(message.routine)
  return {
    code: 'postgres.privilege',
    sentence: `User "${context.user}" lacks a privilege. ${said}`,
    hint: replication
      ? `As a superuser, run: ALTER ROLE ${quoteName(context.user)} REPLICATION.`
      : (message.hint ?? 'Grant the privilege that the server names.'),
  }
}

function slotVerdict(said: string, message: ServerMessage): Verdict | undefined {
  const slot = /replication slot "([^"]+)"/.exec(message.message)?.[1]
  if (message.sqlState === '55006') {
    const pid = /PID (\d+)/.exec(message.message)?.[1]
    return {
      code: 'postgres.slot',
      sentence: `The replication slot is in use by another receiver. ${said}`,
      hint: pid
        ? `Stop the other receiver, or end its connection on the server: SELECT pg_terminate_backend(${pid}).`
        : 'Stop the other receiver.',
      details: { slot, active: true, ...(pid ? { pid: Number(pid) } : {}) },
    }
  }
  if (message.sqlState === '42704' && (slot !== undefined || /Slot/.test(message.routine ?? ''))) {
    return {
      code: 'postgres.slot',
      sentence: `The replication slot does not exist on the server. ${said}`,
      hint: 'Run retake init, which creates it; then take a new backup.',
      retry: 'never',
      details: { slot, missing: true },
    }
  }
  const invalidated =
    message.sqlState === '55000' &&
    (/invalidated/i.test(message.detail ?? '') || /no longer|cannot read from/.test(message.message)) &&
    /Slot/i.test(`${message.routine}${message.message}`)
  return invalidated ? lostSlotVerdict(said, slot) : undefined
}

function lostSlotVerdict(said: string, slot: string | undefined): Verdict {
  return {
    code: 'postgres.slot',
    sentence: `The replication slot was invalidated: the server removed WAL that Retake had not yet received. ${said}`,
    hint: `Drop it and run retake init, then take a new backup: SELECT pg_drop_replication_slot('${slot ?? '…'}').`,
    retry: 'never',
    details: { slot, lost: true },
  }
}

/** The error for a slot that exists but holds no WAL: it was invalidated, or made without reserving WAL. */
export function lostSlotError(slot: string, context: ConnectionContext): RetakeError {
  const verdict = lostSlotVerdict(`${context.display}: slot "${slot}" has no restart position`, slot)
  return new RetakeError(verdict.code, verdict.sentence, {
    hint: verdict.hint,
    retry: verdict.retry,
    details: { server: context.display, ...verdict.details },
  })
}

function walVerdict(said: string, message: ServerMessage): Verdict | undefined {
  const segment = /\b[0-9A-F]{24}\b/.exec(message.message)?.[0]
  const removed =
    message.routine === 'WalSndSegmentOpen' || /requested WAL segment .* has already been removed/.test(message.message)
  if (removed && segment) {
    return {
      code: 'wal.gap',
      sentence: `The server no longer has WAL that is needed to continue. ${said}`,
      hint: 'Moments between the last WAL held and the next backup cannot be recovered. Take a new backup now: retake backup.',
      details: { segment },
    }
  }
  const elsewhere =
    message.routine === 'StartReplication' ||
    /not in this server's history|ahead of the WAL flush position/.test(message.message)
  if (elsewhere && !['42601', '0A000'].includes(message.sqlState)) {
    return {
      code: 'wal.diverged',
      sentence: `The server's WAL does not continue the WAL that is held: it was restored, or is another copy. ${said}`,
      hint: 'Check that this is the right server. If it was restored to an earlier moment, promote it to a new timeline and take a new backup.',
    }
  }
  return undefined
}

function generalVerdict(said: string, message: ServerMessage): Verdict {
  if (message.sqlState === '08P01' && /startup parameter|replication/i.test(message.message)) {
    return {
      code: 'postgres.unsupported',
      sentence: `Replication is not possible here. ${said}`,
      hint: 'This looks like a connection pooler. Use the address of the server itself.',
    }
  }
  if (message.sqlState.startsWith('57P')) {
    return {
      code: 'postgres.connection-lost',
      sentence: `The server ended the connection. ${said}`,
      hint: 'Try again once the server accepts connections.',
    }
  }
  if (message.sqlState === '57014')
    return { code: 'postgres.error', sentence: `The server cancelled the command. ${said}`, retry: 'later' }
  if (message.sqlState.startsWith('53'))
    return { code: 'postgres.error', sentence: `The server is short of a resource. ${said}`, retry: 'later' }
  return { code: 'postgres.error', sentence: `The server answered with an error. ${said}` }
}

const tlsCodes =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|CRL_|ERR_OSSL)/

/** Whether TLS was not agreed: the server does not offer it, or its certificate is not accepted. */
export function isTlsFailure(error: unknown): boolean {
  return error instanceof Error && (tlsCodes.test(systemErrorCode(error) ?? '') || isTlsNotOffered(error))
}

/** Told by `pg`'s own words, which have no code: the server answered the request for TLS with "no", or with an error. */
export function isTlsNotOffered(error: unknown): boolean {
  return error instanceof Error && /does not support SSL|establishing an SSL connection/.test(error.message)
}

/** The error for a connection that could not be opened, or broke. */
export function networkError(error: unknown, context: ConnectionContext): RetakeError {
  if (isRetakeError(error)) return error
  const message = serverMessageOf(error)
  if (message) return serverError(message, context, error)
  const verdict = judgeNetwork(error instanceof Error ? error : new Error(String(error)), context)
  return new RetakeError(verdict.code, verdict.sentence, {
    hint: verdict.hint,
    details: { server: context.display, ...(systemErrorCode(error) ? { errno: systemErrorCode(error) } : {}) },
    cause: error,
  })
}

function judgeNetwork(error: Error, { display }: ConnectionContext): Verdict {
  if (isTlsFailure(error)) {
    return {
      code: 'postgres.tls',
      sentence: `TLS could not be agreed with ${display}: ${error.message}.`,
      hint: "Check sslmode, sslrootcert and the host name in the server's certificate; for sslmode=verify-full the certificate must carry the name you connect to.",
    }
  }
  const reason =
    unreachable[systemErrorCode(error) ?? ''] ??
    (/timeout expired/.test(error.message) ? unreachable.ETIMEDOUT : undefined)
  if (reason)
    return {
      code: 'postgres.unreachable',
      sentence: `The server ${display} could not be reached: ${reason[0]}.`,
      hint: reason[1],
    }
  return {
    code: 'postgres.connection-lost',
    sentence: `The connection to ${display} broke: ${error.message}.`,
    hint: 'Try again; if it repeats, look at the log of the server.',
  }
}

const unreachable: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ECONNREFUSED: ['nothing listens there', 'Check host and port, that the server runs, and its listen_addresses.'],
  ENOENT: ['there is no such socket', 'Check the socket directory (host) and port, and that the server runs.'],
  EACCES: [
    'this user may not use the socket',
    'Run as a user that may enter the socket directory, or connect over TCP.',
  ],
  ENOTFOUND: ['the host name is not known', 'Check the spelling of the host, and DNS.'],
  EAI_AGAIN: ['the host name could not be looked up just now', 'Check DNS, then try again.'],
  EHOSTUNREACH: ['no route leads to the host', 'Check network and firewall.'],
  ENETUNREACH: ['no route leads to its network', 'Check the network; an IPv6-only host needs IPv6 here.'],
  ETIMEDOUT: ['it did not answer in time', 'Check host, port and firewall, or raise connect_timeout.'],
}

/** A `pg` DatabaseError as a server message; undefined for any other error. */
export function serverMessageOf(error: unknown): ServerMessage | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined
  const { severity, code } = error
  if (typeof severity !== 'string' || typeof code !== 'string') return undefined
  const text = (name: string) => {
    const value = (error as unknown as Record<string, unknown>)[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    severity,
    sqlState: code,
    message: error.message,
    detail: text('detail'),
    hint: text('hint'),
    routine: text('routine'),
  }
}

function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

function quoteHba(name: string): string {
  return /^[a-z_][a-z0-9_.-]*$/i.test(name) && !['all', 'replication', 'sameuser', 'samerole'].includes(name)
    ? name
    : `"${name}"`
}
