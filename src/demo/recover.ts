/** Finding the moment, planning and applying the restore: the three steps that the recovery time is measured over. */
import path from 'node:path'
import { sleep } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import { findIncidents } from '../engine/find.ts'
import type { Retake } from '../engine/open.ts'
import { applyRestore, planRestore } from '../engine/restore.ts'
import { openSql } from '../postgres/connection/sql.ts'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import type { Disaster } from './disasters.ts'
import { localTarget, SUPERUSER } from './source-server.ts'
import type { Story } from './story.ts'

const FOUND_WITHIN_MS = 30_000

export interface Recovered {
  readonly plan: RestorePlan
  readonly sql: SqlConnection
  readonly url: string
  readonly pid: number
  /** From the decision to recover until the recovered server took connections. */
  readonly rtoMs: number
}

export interface RecoverContext {
  readonly story: Story
  readonly disaster: Disaster
  readonly directory: string
  /** When the demo began, ISO 8601 UTC: what was before is not looked through. */
  readonly begunAt: string
  readonly undo: AsyncDisposableStack
  readonly signal?: AbortSignal | undefined
}

/** The superuser who looked at the damage decides to recover; from here on the clock runs. */
export async function recover(retake: Retake, context: RecoverContext): Promise<Recovered> {
  const { story, disaster, directory, undo, signal } = context
  const decidedMs = performance.now()
  const at = disaster.xid === undefined ? 'latest' : await story.step('Find', (say) => find(retake, context, say))
  const to = path.join(directory, 'servers', 'recovered')
  const plan = await story.step('Plan', async (say) => {
    const made = await planRestore(retake, { at, to, signal })
    for (const line of describePlan(made)) say(line)
    return made
  })
  const { port, pid } = await story.step('Recovery', async (say) => {
    const report = await applyRestore(retake, plan, { signal }).result
    const { server, files, wal, reached } = report
    if (!server) throw new RetakeError('restore.mismatch', 'The recovered server is not running.')
    undo.defer(() => endServer(server.pid))
    say(
      `${files.count.toLocaleString('en')} files written, ${wal.segments} WAL segments replayed up to ${reached?.lsn}`,
    )
    if (reached?.xid !== undefined) say(`last transaction ${reached.xid}, of ${reached.at}`)
    say(`a new server on port ${server.port}; nothing of the original was touched`)
    return server
  })
  const sql = undo.use(await openSql(localTarget(port, SUPERUSER)))
  return { plan, sql, pid, url: localTarget(port, SUPERUSER).display, rtoMs: performance.now() - decidedMs }
}

/** What people would not know: which transaction it was. The log says it, as soon as its WAL is held. */
async function find(
  retake: Retake,
  { disaster, begunAt, signal }: RecoverContext,
  say: (line: string) => void,
): Promise<string> {
  const deadlineMs = performance.now() + FOUND_WITHIN_MS
  for (;;) {
    const { incidents, transactions } = await findIncidents(retake, { since: begunAt, signal }).result
    const [first] = incidents
    if (first?.severity === 'critical') {
      say(`retake find   # among ${transactions.toLocaleString('en')} transactions, the worst first`)
      say(`${first.what}, at ${first.at}, by transaction ${first.xid}`)
      say(`just before this: --at ${first.before}`)
      if (first.before === `before-xid:${disaster.xid}`) return first.before
      throw new RetakeError(
        'restore.mismatch',
        `The log tells of transaction ${first.xid} first, and it was ${disaster.xid}.`,
      )
    }
    if (performance.now() > deadlineMs)
      throw new RetakeError('restore.mismatch', 'The log does not tell of what was done.')
    await sleep(100, signal)
  }
}

function describePlan(plan: RestorePlan): string[] {
  const { backup, wal, predicted, preflight, stop } = plan
  const passed = preflight.filter(({ status }) => status === 'passed').length
  const last = stop.lastTransaction
  return [
    `retake restore plan --at ${plan.target.asked}`,
    ...(last ? [`brings back everything up to transaction ${last.xid}, which ended at ${last.at}`] : []),
    `from backup ${backup.backupId} and ${wal.segmentCount} WAL segments, ${wal.beginLsn} to ${wal.endLsn}`,
    `${passed} of ${preflight.length} checks passed; predicted ${(predicted.totalMs / 1_000).toFixed(1)} s; plan ${plan.hash.slice(0, 12)}`,
  ]
}

/** The recovered server is no child of ours: it was handed over. Its directory goes with it, so it need not write anything more. */
async function endServer(pid: number): Promise<void> {
  isAlive(pid, 'SIGQUIT')
  while (isAlive(pid, 0)) await sleep(20)
}

function isAlive(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
