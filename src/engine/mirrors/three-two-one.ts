/** 3-2-1: three copies (the database is one), on two media or places, one of them off-site. */

import { backupsPrefix, parseManifestName } from '../../repository/layout.ts'
import { readerOf } from '../../storage/mirrored/mirrored-reading.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import { ORIGIN } from '../config-options.ts'
import { copyPlaces, type Retake } from '../open.ts'
import { placeOf } from './copies.ts'

export interface BackupCopies {
  /** The copies of the repository that hold the backup. */
  readonly copies: readonly string[]
  /** Copies that could not be asked. */
  readonly unknown: readonly string[]
  /** Different media (directory, bucket) or places, whichever are more. */
  readonly places: number
  readonly offsite: boolean
  /** What is missing for 3-2-1; empty when nothing is. With copies that could not be asked, more may be there. */
  readonly missing: readonly ('copies' | 'places' | 'offsite')[]
}

export interface HoldingCopy {
  readonly name: string
  readonly url: string
  readonly place?: string | undefined
  readonly offsite: boolean
}

export function judgeThreeTwoOne(holding: readonly HoldingCopy[], unknown: readonly string[]): BackupCopies {
  const media = new Set(holding.map(({ url }) => (/^s3:/i.test(url) ? 'bucket' : 'directory')))
  const labels = new Set(holding.flatMap(({ place }) => (place === undefined ? [] : [place])))
  const places = Math.max(media.size, labels.size)
  const offsite = holding.some((copy) => copy.offsite)
  const missing = [
    ...(holding.length < 2 ? (['copies'] as const) : []),
    ...(places < 2 ? (['places'] as const) : []),
    ...(offsite ? [] : (['offsite'] as const)),
  ]
  return { copies: holding.map(({ name }) => name), unknown, places, offsite, missing }
}

/** For each backup of the cluster which copies hold it. That its manifest is in a copy means that all it needs is (M1). */
export async function readBackupCopies(
  retake: Retake,
  backupIds: readonly string[],
): Promise<ReadonlyMap<string, BackupCopies>> {
  const { store } = retake.repository
  const places = copyPlaces(retake).map((place) => ({ ...place, ...placeOf(retake, place.name) }))
  const held = new Map<string, ReadonlySet<string> | undefined>()
  if (store instanceof MirroredStore) {
    const states = await store.copies.load({ all: true })
    for (const copy of store.copies.copies) {
      const isPresent = states[copy.index]?.state === 'present'
      const isAway = states[copy.index]?.state === 'unreachable'
      const ids = isPresent ? await listIds(retake, readerOf(copy)).catch(() => undefined) : new Set<string>()
      held.set(copy.name, isAway ? undefined : ids)
    }
  } else held.set(ORIGIN, new Set(backupIds))
  const unknown = places.filter(({ name }) => held.get(name) === undefined).map(({ name }) => name)
  return new Map(
    backupIds.map((id) => [
      id,
      judgeThreeTwoOne(
        places.filter(({ name }) => held.get(name)?.has(id)),
        unknown,
      ),
    ]),
  )
}

async function listIds(retake: Retake, reader: ReturnType<typeof readerOf>): Promise<Set<string>> {
  const prefix = backupsPrefix(retake.clusterName)
  const ids = new Set<string>()
  for await (const { key } of reader.list(prefix)) {
    const name = parseManifestName(key.slice(prefix.length))
    if (name) ids.add(name.backupId)
  }
  return ids
}
