/**
 * Before keys are destroyed, and afterwards: what each copy of the repository still stores of them, and what would keep it there (Object Lock,
 * a legal hold). What a copy does not say is unknown, and unknown is not gone.
 */
import { RetakeError, toRetakeError } from '../base/errors.ts'
import type { CopySet } from '../storage/mirrored/copy-set.ts'
import type { PlaceState } from '../storage/mirrored/look-at-place.ts'
import { MirroredStore } from '../storage/mirrored/mirrored-store.ts'
import type { ObjectStore, StoredVersion } from '../storage/object-store.ts'

/** What keeps one stored version. */
export interface HeldVersion {
  readonly object: string
  /** Absent where the storage keeps no versions. */
  readonly versionId?: string | undefined
  /** When its retention ends, ISO 8601 UTC. */
  readonly until?: string | undefined
  readonly legalHold: boolean
}

export interface KeyCopy {
  /** The name of the copy, where the repository has several. */
  readonly copy?: string | undefined
  /** Absent of a copy that is not configured here. */
  readonly url?: string | undefined
  /** Every object that is stored, also one that only former versions are left of. */
  readonly objects: readonly string[]
  /** So many versions that is. */
  readonly versions: number
  readonly held: readonly HeldVersion[]
  /** Why nothing, or not everything, is known of it. */
  readonly unknown?: RetakeError | undefined
}

/** Asks every copy about the objects below a prefix. Never throws for what a copy does. */
export async function readKeyCopies(store: ObjectStore, prefix: string, now: Date): Promise<KeyCopy[]> {
  if (!(store instanceof MirroredStore)) {
    return [await askOne({ url: store.url }, now, () => storedVersions(store, prefix))]
  }
  const { copies } = store
  const states = await copies.load({ all: true })
  const known = await Promise.all(
    copies.copies.map(async (copy): Promise<KeyCopy> => {
      const place = { copy: copy.name, url: copy.url }
      const unknown = whyUnknown(copies, { name: copy.name, state: states[copy.index] })
      if (unknown) return { ...place, objects: [], versions: 0, held: [], unknown }
      return await askOne(place, now, () => copy.move((one) => storedVersions(one, prefix)))
    }),
  )
  const foreign = copies.record.members.filter((name) => !copies.copies.some((copy) => copy.name === name))
  return [...known, ...foreign.map(notConfiguredHere)]
}

async function askOne(
  place: Pick<KeyCopy, 'copy' | 'url'>,
  now: Date,
  ask: () => Promise<readonly StoredVersion[]>,
): Promise<KeyCopy> {
  try {
    const versions = await ask()
    const held = versions.flatMap((version) => heldBy(version, now))
    return { ...place, objects: [...new Set(versions.map(({ key }) => key))], versions: versions.length, held }
  } catch (error) {
    return { ...place, objects: [], versions: 0, held: [], unknown: toRetakeError(error, 'storage.failed') }
  }
}

async function storedVersions(store: ObjectStore, prefix: string): Promise<readonly StoredVersion[]> {
  if (store.versions) return await store.versions(prefix)
  // A directory keeps no versions, and holds nothing back.
  const infos = await Array.fromAsync(store.list(prefix))
  return infos.map(({ key }) => ({ key, hasLegalHold: false }))
}

function heldBy({ key, versionId, lockedUntil, hasLegalHold }: StoredVersion, now: Date): HeldVersion[] {
  const until = lockedUntil !== undefined && lockedUntil > now ? lockedUntil.toISOString() : undefined
  return until === undefined && !hasLegalHold ? [] : [{ object: key, versionId, until, legalHold: hasLegalHold }]
}

function whyUnknown(
  copies: CopySet,
  place: { readonly name: string; readonly state: PlaceState | undefined },
): RetakeError | undefined {
  const { name, state } = place
  if (state?.state === 'unreachable') return state.error
  if (copies.current().some((copy) => copy.name === name)) return undefined
  const isMember = copies.record.members.includes(name)
  // A place that never had a copy has none of its keys.
  if (state?.state === 'empty' && !isMember) return undefined
  const what =
    state?.state === 'present'
      ? 'has not caught up, and would bring keys back'
      : state?.state === 'foreign'
        ? 'holds another repository at its place'
        : 'holds no repository at its place'
  return new RetakeError('storage.failed', `The copy "${name}" ${what}.`, {
    hint: `Run \`retake repo sync\`, or give it up: retake repo mirrors --forget ${name}`,
  })
}

function notConfiguredHere(copy: string): KeyCopy {
  const unknown = new RetakeError('config.invalid', `The copy "${copy}" is not configured here.`, {
    hint: `Add it to \`mirrors\` in the configuration, or give it up: retake repo mirrors --forget ${copy}`,
  })
  return { copy, objects: [], versions: 0, held: [], unknown }
}
