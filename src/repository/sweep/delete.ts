/** Second phase: deletes what was condemned long enough ago, when nobody who had begun before is under way any more. */
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type CondemnedRecord, dropCondemned, keysOfStretch, listLeftNotes, readCondemned } from '../condemned.ts'
import { rememberInterrupted } from '../failures.ts'
import { holdsPrefix, manifestKey, packKey, runKey, verifiedKey } from '../layout.ts'
import { acquireLease } from '../lease.ts'
import { listManifests } from '../manifest-revisions.ts'
import { listReaders } from '../readers.ts'
import { cleanInterruptedRuns, listRuns } from '../runs.ts'
import { noteUnderWay } from './condemn.ts'
import type { Survey } from './survey.ts'

export interface DeleteOptions {
  /** What is stored and used now; asked for only when there is a pack to delete. */
  readonly survey: () => Promise<Survey>
  /** How long ago something must have been condemned. */
  readonly graceMs: number
  readonly clock?: Clock | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface WaitingRecord {
  readonly id: string
  readonly why: string
  readonly backups: readonly string[]
  readonly packCount: number
  readonly bytes: number
  /** From when on it may be deleted, our clock, ISO 8601 UTC. */
  readonly dueAt: string
  /** What else it waits for. */
  readonly waitsFor: 'grace' | 'backup' | 'readers' | 'damage' | 'lock'
}

export interface DeletionReport {
  readonly objects: number
  readonly bytes: number
  /** Packs that are referred to again; they stay. */
  readonly reprieved: number
  readonly waiting: readonly WaitingRecord[]
  /** Objects that the storage does not let go yet (Object Lock). */
  readonly locked: readonly string[]
}

/** So many objects are deleted together. */
const BATCH = 16

/**
 * Deletes what is due. May be stopped and begun again anywhere: a record stays until everything that it names is gone.
 * The caller holds the lease `prune`.
 * @throws RetakeError `repo.damaged` when a record cannot be read, `storage.*`, `aborted`
 */
export async function deleteCondemned(cluster: ClusterRepository, options: DeleteOptions): Promise<DeletionReport> {
  for (const key of await listLeftNotes(cluster)) await cluster.store.delete(key)
  const { records } = await readCondemned(cluster)
  const eraser = new Eraser(cluster, options)
  const waiting: WaitingRecord[] = []
  const wait = (record: CondemnedRecord, waitsFor: WaitingRecord['waitsFor']) =>
    waiting.push(describe(record, { waitsFor, graceMs: options.graceMs }))
  const due: CondemnedRecord[] = []
  for (const found of records) {
    const record = found.ready ? found : await noteUnderWay(cluster, found, options)
    const reason = await whyNotDue(cluster, record, options)
    if (reason) wait(record, reason)
    else due.push(record)
  }
  // After the runs were looked at: one that has ended since is seen by its manifest.
  const survey = due.some(({ packs }) => packs.length > 0) ? await options.survey() : undefined
  for (const record of due) {
    const reason = await eraser.erase(record, survey)
    if (reason) wait(record, reason)
    else await dropCondemned(cluster, record)
  }
  return { ...eraser.counts, waiting, locked: eraser.locked }
}

function describe(
  record: CondemnedRecord,
  facts: { readonly waitsFor: WaitingRecord['waitsFor']; readonly graceMs: number },
): WaitingRecord {
  const { id, why, backups, packs, bytes, ready, condemnedAt } = record
  const dueAt = new Date(Date.parse(ready?.at ?? condemnedAt) + facts.graceMs).toISOString()
  return { id, why, backups, packCount: packs.length, bytes, dueAt, waitsFor: facts.waitsFor }
}

async function whyNotDue(
  cluster: ClusterRepository,
  record: CondemnedRecord,
  options: DeleteOptions,
): Promise<'grace' | 'backup' | 'readers' | undefined> {
  const { clock = systemClock, graceMs } = options
  const { ready } = record
  if (!ready || clock.now().getTime() - Date.parse(ready.at) < graceMs) return 'grace'
  if (await anyRunning(cluster, ready.runs, clock)) return 'backup'
  if (ready.readers.length === 0) return undefined
  const living = new Set(await listReaders(cluster, { clock }))
  return ready.readers.some((key) => living.has(key)) ? 'readers' : undefined
}

/**
 * Whether one of these backups may still commit. One whose process is dead or suspended leaves its lease behind; taking the lease
 * over and cleaning up after it makes sure that it never does.
 */
async function anyRunning(cluster: ClusterRepository, runs: readonly string[], clock: Clock): Promise<boolean> {
  if (runs.length === 0 || !(await anyOpen(cluster, runs))) return false
  try {
    await using _lease = await acquireLease(cluster, { role: 'backup', holder: 'retake prune', clock })
    await cleanInterruptedRuns(cluster, rememberInterrupted(cluster, clock))
  } catch (error) {
    if (isRetakeError(error, 'repo.locked')) return true
    throw error
  }
  return await anyOpen(cluster, runs)
}

async function anyOpen(cluster: ClusterRepository, runs: readonly string[]): Promise<boolean> {
  const { begun, done } = await listRuns(cluster)
  return runs.some((id) => begun.has(id) && !done.has(id))
}

class Eraser {
  readonly counts = { objects: 0, bytes: 0, reprieved: 0 }
  readonly locked: string[] = []
  readonly #cluster: ClusterRepository
  readonly #options: DeleteOptions

  constructor(cluster: ClusterRepository, options: DeleteOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** Returns why the record has to stay, or undefined when everything that it names is gone. */
  async erase(record: CondemnedRecord, survey: Survey | undefined): Promise<'lock' | 'damage' | undefined> {
    const lockedBefore = this.locked.length
    const { name } = this.#cluster.facts
    const manifests = await listManifests(this.#cluster)
    for (const backupId of record.backups) await this.#eraseBackup(backupId, manifests.get(backupId) ?? [])
    for (const { backupId, revision } of record.revisions) {
      // Only what has really been replaced.
      const newest = manifests.get(backupId)?.at(-1)
      if (newest === undefined || newest > revision) await this.#delete(manifestKey(name, backupId, revision))
    }
    for (const stretch of record.segments) await this.#deleteAll(keysOfStretch(this.#cluster, stretch))
    await this.#deleteAll(record.walKeys)
    const damaged = record.packs.length > 0 && (survey === undefined || survey.damage.length > 0)
    if (!damaged) await this.#deleteAll(this.#unreferenced(record.packs, survey))
    if (this.locked.length > lockedBefore) return 'lock'
    if (damaged) return 'damage'
    this.counts.bytes += record.bytes
    return undefined
  }

  /**
   * In this order no moment looks like an interrupted backup (`.begun` without `.done` and manifest), whose packs the next backup
   * deletes, and no older revision comes to light.
   */
  async #eraseBackup(backupId: string, revisions: readonly number[]): Promise<void> {
    const { store, facts } = this.#cluster
    const manifests = revisions.map((revision) => manifestKey(facts.name, backupId, revision))
    const keys = [runKey(facts.name, backupId, 'begun'), ...manifests, runKey(facts.name, backupId, 'done')]
    for (const key of keys) if (!(await this.#delete(key))) return
    await this.#delete(verifiedKey(facts.name, backupId))
    for await (const { key } of store.list(`${holdsPrefix(facts.name)}${backupId}`)) await this.#delete(key)
  }

  *#unreferenced(packs: readonly string[], survey: Survey | undefined): Generator<string> {
    for (const packId of packs) {
      if (survey?.users.has(packId) === false) yield packKey(packId)
      else this.counts.reprieved += 1
    }
  }

  async #deleteAll(keys: Iterable<string>): Promise<void> {
    let batch: Promise<boolean>[] = []
    for (const key of keys) {
      batch.push(this.#delete(key))
      if (batch.length < BATCH) continue
      await settle(batch)
      batch = []
    }
    await settle(batch)
  }

  /** False when the storage does not let it go yet. */
  async #delete(key: string): Promise<boolean> {
    throwIfAborted(this.#options.signal)
    try {
      if (await this.#cluster.store.delete(key)) this.counts.objects += 1
    } catch (error) {
      if (!isRetakeError(error, 'storage.locked')) throw error
      this.locked.push(key)
      return false
    }
    this.#options.onProgress?.({ phase: 'delete', done: this.counts.objects, unit: 'objects' })
    return true
  }
}

/** Waits for all before the first failure is thrown: nothing goes on behind the caller's back. */
async function settle(batch: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(batch)) if (outcome.status === 'rejected') throw outcome.reason
}
