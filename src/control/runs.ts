/** Work that was asked for: what, by whom, and what became of it. The workflow of the same id does it. */
import { type Kysely, type Selectable, sql } from 'kysely'
import type { SerializedError } from '../base/errors.ts'
import type { Progress } from '../base/progress.ts'
import type { ControlTables, RunTable } from './database/schema.ts'

type Db = Kysely<ControlTables>

export type RunTask = 'backup' | 'verify' | 'prune' | 'drill' | 'check'

/** `waiting`: it failed, or must wait, and is tried again. */
export type RunState = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled'

export interface RunOptions {
  readonly type?: 'full' | 'incremental' | undefined
  readonly label?: string | undefined
  readonly deep?: boolean | undefined
  /** Of a verification: only this one. */
  readonly backupId?: string | undefined
  /** Of a drill: a target, or `random`. */
  readonly at?: string | undefined
  /** Of a pruning. */
  readonly dryRun?: boolean | undefined
}

/** Plain data: the input of a workflow. */
export interface RunRequest {
  readonly id: string
  readonly cluster: string
  readonly task: RunTask
  readonly options: RunOptions
  /** A person, a program, or `schedule NAME`. */
  readonly startedBy: string
  /** ISO 8601 UTC; of a schedule. */
  readonly dueAt?: string | undefined
}

export interface Run extends Omit<RunRequest, 'dueAt'> {
  readonly state: RunState
  readonly dueAt?: Date | undefined
  readonly createdAt: Date
  readonly beganAt?: Date | undefined
  readonly endedAt?: Date | undefined
  readonly attempts: number
  readonly progress?: Progress | undefined
  readonly result?: object | undefined
  /** Of the last attempt that failed. */
  readonly error?: SerializedError | undefined
  readonly cancelledBy?: string | undefined
  readonly changedAt: Date
}

/** Puts it on record. False: it was already. */
export async function recordRun(db: Db, request: RunRequest): Promise<boolean> {
  const { id, cluster, task, options, startedBy, dueAt } = request
  const { numInsertedOrUpdatedRows = 0n } = await db
    .insertInto('run')
    .values({
      id,
      cluster,
      task,
      options: JSON.stringify(options),
      started_by: startedBy,
      due_at: dueAt === undefined ? null : new Date(dueAt),
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows > 0n
}

const ended: readonly RunState[] = ['succeeded', 'failed', 'cancelled']

/** An attempt begins. @returns which one it is, from 1; undefined: the run has ended already */
export async function beginAttempt(db: Db, id: string): Promise<number | undefined> {
  const row = await db
    .updateTable('run')
    .set({
      state: 'running',
      began_at: sql<Date>`coalesce(began_at, now())`,
      attempts: sql<number>`attempts + 1`,
      progress: null,
      changed_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    .where('state', 'not in', ended)
    .returning('attempts')
    .executeTakeFirst()
  return row?.attempts
}

export async function reportProgress(db: Db, id: string, progress: Progress): Promise<void> {
  await db
    .updateTable('run')
    .set({ progress: JSON.stringify(progress), changed_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .execute()
}

export type RunChange =
  | { readonly state: 'succeeded'; readonly result: object }
  | { readonly state: 'failed' | 'waiting'; readonly error: SerializedError }

/** What became of an attempt. An ended run stays as it is. */
export async function changeRun(db: Db, id: string, change: RunChange): Promise<void> {
  const isEnd = change.state !== 'waiting'
  await db
    .updateTable('run')
    .set({
      state: change.state,
      progress: null,
      changed_at: sql<Date>`now()`,
      ...(isEnd ? { ended_at: sql<Date>`now()` } : {}),
      ...(change.state === 'succeeded'
        ? { result: JSON.stringify(change.result), error: null }
        : { error: JSON.stringify(change.error) }),
    })
    .where('id', '=', id)
    .where('state', 'not in', ended)
    .execute()
}

/** False: it has ended already, or there is none. */
export async function cancelRun(db: Db, { id, by }: { readonly id: string; readonly by: string }): Promise<boolean> {
  const result = await db
    .updateTable('run')
    .set({
      state: 'cancelled',
      cancelled_by: by,
      ended_at: sql<Date>`now()`,
      changed_at: sql<Date>`now()`,
      progress: null,
    })
    .where('id', '=', id)
    .where('state', 'not in', ended)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function readRun(db: Db, id: string): Promise<Run | undefined> {
  const row = await db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
  return row && runOf(row)
}

/** Which of these are on record. */
export async function knownRuns(db: Db, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const rows = await db.selectFrom('run').select('id').where('id', 'in', ids).execute()
  return new Set(rows.map(({ id }) => id))
}

export interface ListRunsOptions {
  readonly cluster?: string | undefined
  readonly task?: RunTask | undefined
  readonly states?: readonly RunState[] | undefined
  /** Only older ones than this; the newest come first. */
  readonly before?: { readonly createdAt: Date; readonly id: string } | undefined
  readonly limit: number
}

export async function listRuns(db: Db, { cluster, task, states, before, limit }: ListRunsOptions): Promise<Run[]> {
  let query = db.selectFrom('run').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit)
  if (cluster !== undefined) query = query.where('cluster', '=', cluster)
  if (task) query = query.where('task', '=', task)
  if (states) query = query.where('state', 'in', states)
  if (before) query = query.where(sql<boolean>`(created_at, id) < (${before.createdAt}, ${before.id})`)
  return (await query.execute()).map(runOf)
}

/** What its workflow is given. */
export function requestOf({ id, cluster, task, options, startedBy, dueAt }: Run): RunRequest {
  return { id, cluster, task, options, startedBy, ...(dueAt ? { dueAt: dueAt.toISOString() } : {}) }
}

function runOf(row: Selectable<RunTable>): Run {
  const { due_at: dueAt, began_at: beganAt, ended_at: endedAt, cancelled_by: cancelledBy } = row
  return {
    id: row.id,
    cluster: row.cluster,
    task: row.task as RunTask,
    options: row.options,
    startedBy: row.started_by,
    state: row.state as RunState,
    createdAt: row.created_at,
    attempts: row.attempts,
    changedAt: row.changed_at,
    ...(dueAt ? { dueAt } : {}),
    ...(beganAt ? { beganAt } : {}),
    ...(endedAt ? { endedAt } : {}),
    ...(row.progress ? { progress: row.progress as unknown as Progress } : {}),
    ...(row.result ? { result: row.result as unknown as object } : {}),
    ...(row.error ? { error: row.error as unknown as SerializedError } : {}),
    ...(cancelledBy ? { cancelledBy } : {}),
  }
}

/** Runs of each cluster that have not ended. */
export async function countOpenRuns(db: Db): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('run')
    .select(['cluster', sql<number>`count(*)::int`.as('count')])
    .where('state', 'not in', ended)
    .groupBy('cluster')
    .execute()
  return new Map(rows.map(({ cluster, count }) => [cluster, count]))
}
