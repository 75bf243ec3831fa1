/** A repository with a series of backups, seen through a clock that tests move, and what must hold of it at any time. */
import assert from 'node:assert/strict'
import type { Clock } from '../../base/clock.ts'
import { generateKey, type KeyMaterial } from '../../repository/keys/key-material.ts'
import { parsePackKey } from '../../repository/layout.ts'
import { listBackupIds } from '../../repository/manifest-store.ts'
import { createRepository, openRepository } from '../../repository/repository.ts'
import { surveyPacks } from '../../repository/sweep/survey.ts'
import { readContents, type SeriesBackup } from '../../repository/testing/backup-series.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { createMemoryStore, type MemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { assembleRetake, type Retake, retakeSettings } from '../open.ts'
import { type PruneOptions, prune } from '../prune.ts'
import type { PruneReport } from '../prune-report.ts'

export const DAY_MS = 86_400_000

export class MovableClock implements Clock {
  ms: number
  constructor(iso: string) {
    this.ms = Date.parse(iso)
  }
  now(): Date {
    return new Date(this.ms)
  }
  monotonicMs(): number {
    return performance.now()
  }
}

export async function openRetakeOn(store: ObjectStore, parts: { key: KeyMaterial; clock: Clock }): Promise<Retake> {
  const repository = await openRepository(store, parts.key, { clock: parts.clock })
  return assembleRetake(retakeSettings({ cluster: 'main', clock: parts.clock }), repository)
}

export interface PruneStage {
  readonly store: MemoryStore
  readonly key: KeyMaterial
  readonly clock: MovableClock
  readonly retake: Retake
  prune(options?: PruneOptions): Promise<PruneReport>
}

export async function createStage(begin: string): Promise<PruneStage> {
  const store = createMemoryStore()
  const key = generateKey()
  const clock = new MovableClock(begin)
  await createRepository(store, key, { clock })
  const retake = await openRetakeOn(store, { key, clock })
  return { store, key, clock, retake, prune: (options) => prune(retake, options).result }
}

/** R1 to R5, as far as a repository at rest shows them: every backup that is listed is whole and what it was. */
export async function assertInvariants(
  retake: Retake,
  backups: readonly SeriesBackup[],
  { depth = 'deep' }: { readonly depth?: 'quick' | 'deep' } = {},
): Promise<string[]> {
  const cluster = await retake.cluster()
  const { findings } = await verifyRepository({ repository: retake.repository, depth, workers: 0 })
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'error'),
    [],
  )
  const listed = await listBackupIds(cluster)
  for (const { backupId, files } of backups) {
    if (!listed.includes(backupId)) continue
    const found = await readContents(cluster, backupId)
    assert.deepEqual([...found.keys()].sort(), [...files.keys()].sort())
    for (const [path, content] of files) assert.ok(found.get(path)?.equals(content), `${path} of ${backupId}`)
  }
  return listed
}

/** Nothing is stored but what is referred to. */
export async function assertNothingLeft(retake: Retake): Promise<void> {
  const cluster = await retake.cluster()
  const { repository } = retake
  const survey = await surveyPacks({ repository, cluster })
  for await (const { key } of repository.store.list('')) {
    const packId = parsePackKey(key)
    if (packId !== undefined) assert.ok(survey.users.has(packId), `${key} is referred to by nothing`)
    assert.doesNotMatch(key, /\/(condemned|readers|leases)\/|\.rewrite$/)
  }
  assert.deepEqual(survey.replaced, [])
  const report = await verifyRepository({ repository, depth: 'quick', workers: 0 })
  assert.deepEqual(report.findings, [])
}
