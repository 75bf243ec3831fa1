/** What somebody wants to recover to; one word everywhere (`--at TARGET`). */
import { RetakeError } from '../base/errors.ts'
import { formatInstant, type InstantMicros, parseInstant } from '../base/instant.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'

/**
 * - `latest`: everything that is held.
 * - `time`: every transaction that ended at this instant or before.
 * - `lsn`: as PostgreSQL's `recovery_target_lsn` with `inclusive`: the first record at or after the position is the last one applied.
 * - `xid`: up to the end of this transaction; with it, or (`inclusive` false) just before it.
 * - `name`: the named restore point.
 */
export type RecoveryTarget =
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly instant: InstantMicros }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: number; readonly inclusive: boolean }
  | { readonly kind: 'name'; readonly name: string }

/** PostgreSQL keeps 0 to 2 for itself. https://www.postgresql.org/docs/current/transaction-id.html */
const FIRST_NORMAL_XID = 3n
/** NAMEDATALEN of `pg_create_restore_point` (MAXFNAMELEN), without the final zero. */
const MAX_NAME_BYTES = 63

/**
 * Reads `latest`, `lsn:0/3000060`, `xid:812`, `before-xid:812`, `name:before_deploy` or an instant with its offset.
 * @throws RetakeError `target.invalid`
 */
export function parseTarget(text: string): RecoveryTarget {
  const word = text.trim()
  if (word.toLowerCase() === 'latest') return { kind: 'latest' }
  const match = /^(lsn|xid|before-xid|name):(.*)$/is.exec(word)
  if (!match) return { kind: 'time', instant: parseTime(word) }
  const [, kind = '', value = ''] = match
  switch (kind.toLowerCase()) {
    case 'lsn':
      return { kind: 'lsn', lsn: parseLsn(value) }
    case 'name':
      return { kind: 'name', name: parseName(value) }
    default:
      return { kind: 'xid', xid: parseXid(value.trim()), inclusive: kind.toLowerCase() === 'xid' }
  }
}

/** The word that {@link parseTarget} reads back as the same target. */
export function formatTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'latest'
    case 'time':
      return formatInstant(target.instant)
    case 'lsn':
      return `lsn:${formatLsn(target.lsn)}`
    case 'xid':
      return `${target.inclusive ? 'xid' : 'before-xid'}:${target.xid}`
    case 'name':
      return `name:${target.name}`
  }
}

function parseTime(text: string): InstantMicros {
  try {
    return parseInstant(text)
  } catch (error) {
    throw new RetakeError('target.invalid', `"${text}" is not a target.`, {
      hint: 'Write an instant with its offset (2026-11-22T09:04:11.482Z), lsn:0/3000060, xid:812, before-xid:812, name:before_deploy or latest.',
      cause: error,
    })
  }
}

/** `pg_current_xact_id()` prints 64 bits, the WAL holds the low 32. */
function parseXid(text: string): number {
  const full = /^\d{1,20}$/.test(text) ? BigInt(text) : 0n
  const xid = full & 0xffffffffn
  if (xid < FIRST_NORMAL_XID || full >= 1n << 64n) {
    throw new RetakeError('target.invalid', `"${text}" is not a transaction id.`, {
      hint: 'Write it as pg_current_xact_id() prints it: xid:812.',
    })
  }
  return Number(xid)
}

function parseName(text: string): string {
  const bytes = Buffer.byteLength(text)
  const control = [...text].some((char) => char < ' ')
  if (bytes === 0 || bytes > MAX_NAME_BYTES || control) {
    throw new RetakeError('target.invalid', `"${text}" is not the name of a restore point.`, {
      hint: `Write name: and the name given to pg_create_restore_point, at most ${MAX_NAME_BYTES} bytes.`,
    })
  }
  return text
}
