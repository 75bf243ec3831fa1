/** Whether a walsender lets us in, and what holds WAL for us there. Pure decisions. */
import type { RetakeError } from '../../base/errors.ts'
import type { SlotStatus } from '../../sources/physical/slot-status.ts'
import { type Check, failed, formatGiB, passed, quoteIdentifier, skipped, type Verdict, warning } from './check.ts'
import type { ServerFacts } from './server-facts.ts'

/** How the attempt to open a walsender ended. */
export type ReplicationAttempt =
  | { readonly mode: 'physical' | 'database'; readonly systemIdentifier: string }
  | { readonly error: RetakeError }

export interface ReplicationFacts {
  readonly attempt: ReplicationAttempt
  /** Undefined when SQL did not work either. */
  readonly server: ServerFacts | undefined
  /** What a receiver of ours calls itself, as `synchronous_standby_names` would name it. */
  readonly receiverName: string
}

const connect: Check<ReplicationFacts> = {
  id: 'replication.connect',
  title: 'Replication connection (pg_hba.conf)',
  judge: ({ attempt, server }) => {
    if ('error' in attempt) {
      const { error } = attempt
      if (error.code !== 'postgres.privilege')
        return failed(error.message, error.hint ?? 'Look at the log of the server.')
      if (server && !server.role.superuser && !server.role.replication) {
        return failed(error.message, `ALTER ROLE ${quoteIdentifier(server.role.name)} REPLICATION;`)
      }
      return failed(error.message, hbaFix(server, error))
    }
    return attempt.mode === 'physical'
      ? passed('pg_hba.conf lets replication in.')
      : passed('pg_hba.conf has no line for replication; the connection through a database works and is used.')
  },
}

function hbaFix(server: ServerFacts | undefined, error: RetakeError): string {
  const line = typeof error.details.hbaLine === 'string' ? error.details.hbaLine : undefined
  const file = server?.settings.get('hba_file') ?? 'pg_hba.conf'
  return line
    ? `Add to ${file}, above any line that rejects it:\n${line}\nthen: SELECT pg_reload_conf();`
    : (error.hint ?? `Look at ${file}.`)
}

const slot: Check<ReplicationFacts> = {
  id: 'replication.slot',
  title: 'Replication slot',
  judge: ({ server }) => (server ? judgeSlot(server.slot, server.slotName) : skipped('The server could not be asked.')),
}

export function judgeSlot(status: SlotStatus, name: string): Verdict {
  if (!status.exists)
    return failed(`There is no slot "${name}": nothing keeps WAL for us on the server.`, 'retake init')
  const held = status.lagBytes === undefined ? '' : ` It keeps ${formatGiB(status.lagBytes)} of WAL on the server.`
  if (status.walStatus === 'lost' || status.restartLsn === undefined) {
    return failed(
      `The slot "${name}" is lost: the server has removed WAL that was not yet received, so moments until the next backup cannot be recovered.`,
      `SELECT pg_drop_replication_slot('${name}'); -- then: retake init && retake backup`,
    )
  }
  if (status.walStatus === 'unreserved') {
    return failed(`The slot "${name}" is about to be lost.${held}`, 'retake wal receive --until-caught-up   # now')
  }
  const left =
    status.safeWalSizeBytes === undefined
      ? ''
      : ` The server may write ${formatGiB(status.safeWalSizeBytes)} more before it is lost.`
  if (!status.active && (status.lagBytes ?? 0) > 1024 ** 3) {
    return warning(`No receiver is connected to the slot "${name}".${held}${left}`, 'retake wal receive')
  }
  return passed(
    `The slot "${name}" is ${status.active ? 'in use by a receiver' : 'there, without a receiver'}.${held}${left}`,
  )
}

const synchronous: Check<ReplicationFacts> = {
  id: 'replication.synchronous',
  title: 'Synchronous replication',
  judge: ({ server, receiverName }) => {
    if (!server) return skipped('The server could not be asked.')
    const names = server.settings.get('synchronous_standby_names') ?? ''
    const commit = server.settings.get('synchronous_commit') ?? 'on'
    if (!namesStandby(names, receiverName)) return passed('This server does not wait for Retake.')
    if (commit === 'remote_apply') {
      return failed(
        'Commits wait until Retake has applied them, which it never does: with remote_apply they hang.',
        "ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf();",
      )
    }
    if (!server.slot.active) {
      return warning('Commits may wait for Retake, and no receiver is connected.', 'retake wal receive --synchronous')
    }
    return passed('Commits wait until Retake holds them: RPO 0.')
  },
}

/** Whether a value of `synchronous_standby_names` names this standby, or any. https://www.postgresql.org/docs/current/runtime-config-replication.html */
export function namesStandby(value: string, name: string): boolean {
  const list = /\((.*)\)/.exec(value)?.[1] ?? value
  const entries = list.split(',').map((entry) =>
    entry
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .toLowerCase(),
  )
  return entries.includes('*') || entries.includes(name.toLowerCase())
}

export const replicationChecks: readonly Check<ReplicationFacts>[] = [connect, slot, synchronous]
