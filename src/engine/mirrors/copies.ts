/** The copies of the repository as they are now: who is primary, who holds everything, how far the others are behind. */
import type { SerializedError } from '../../base/errors.ts'
import { type CopyLag, measureLag } from '../../repository/mirrors/lag.ts'
import type { Copy } from '../../storage/mirrored/copy.ts'
import { readSynced } from '../../storage/mirrored/copy-record.ts'
import type { PlaceState } from '../../storage/mirrored/look-at-place.ts'
import { readerOf } from '../../storage/mirrored/mirrored-reading.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import type { MirrorSync } from '../../storage/store-address.ts'
import { ORIGIN } from '../config-options.ts'
import type { Retake } from '../open.ts'

export type CopyState =
  /** Holds everything and is written to. */
  | 'current'
  /** About to become current: a sync is under way, or was interrupted. */
  | 'joining'
  /** Missed something; `retake repo sync` brings it up to date. */
  | 'behind'
  /** With `mirrorSync: primary`: gets what is new by syncs. */
  | 'following'
  /** Its place has no repository: new, or emptied. */
  | 'empty'
  /** Its place has another repository. */
  | 'foreign'
  | 'unreachable'

export interface CopyView {
  readonly name: string
  readonly url: string
  readonly place?: string | undefined
  readonly offsite: boolean
  readonly isPrimary: boolean
  readonly state: CopyState
  readonly error?: SerializedError | undefined
  /** It held everything that the primary held then, ISO 8601 UTC. */
  readonly syncedAt?: string | undefined
  /** Undefined: not measured, because one of the two cannot be read. */
  readonly lag?: CopyLag | undefined
  /** At most so old is the oldest object that it lacks; 0 when it lacks none; undefined when that is not known. */
  readonly lagMs?: number | undefined
}

export interface MirrorsReport {
  readonly mirrorSync: MirrorSync
  /** Counts changes of who is primary and who is current; 0 before there are mirrors. */
  readonly generation: number
  readonly changedAt?: string | undefined
  readonly reason?: string | undefined
  /** The configured order. */
  readonly copies: readonly CopyView[]
  /** Recorded copies that are not configured here. */
  readonly unknown: readonly string[]
}

export interface ReadMirrorsOptions {
  /** `all` compares every copy with the primary by their listings; `behind` (default) only those that are not current. */
  readonly measure?: 'all' | 'behind' | undefined
}

/**
 * What there is to know about the copies; undefined when no mirrors are configured.
 *
 * ```ts
 * const mirrors = await readMirrors(retake, { measure: 'all' })
 * console.log(mirrors?.copies.map(({ name, state, lag }) => [name, state, lag?.missingObjects]))
 * ```
 */
export async function readMirrors(
  retake: Retake,
  options: ReadMirrorsOptions = {},
): Promise<MirrorsReport | undefined> {
  const { store } = retake.repository
  if (!(store instanceof MirroredStore)) return undefined
  const { copies } = store
  const states = await copies.load({ all: true })
  const { record, mirrorSync } = copies
  const current = copies.current()
  const [primary] = current
  const views: CopyView[] = []
  for (const copy of copies.copies) {
    const state = stateOf(copy, { seen: states[copy.index], current, joining: copies.joining(), mirrorSync })
    const isReadable = state !== 'unreachable' && state !== 'foreign' && state !== 'empty'
    const isMeasured = options.measure === 'all' || state !== 'current'
    const lag =
      primary && isReadable && isMeasured && copy !== primary
        ? await measureLag(readerOf(primary), readerOf(copy))
        : undefined
    const syncedAt = isReadable && copy !== primary ? await readSynced(readerOf(copy)) : undefined
    const seen = states[copy.index]
    views.push({
      ...placeOf(retake, copy.name),
      name: copy.name,
      url: copy.url,
      isPrimary: copy.name === record.primary,
      state,
      ...(seen?.state === 'unreachable' ? { error: seen.error.toJSON() } : {}),
      ...(syncedAt ? { syncedAt } : {}),
      ...(lag ? { lag } : {}),
      lagMs: lagMsOf({ state, lag, syncedAt, now: retake.clock.now() }),
    })
  }
  const { generation, at, reason, members } = record
  return {
    mirrorSync,
    generation,
    ...(generation > 0 ? { changedAt: at, reason } : {}),
    copies: views,
    unknown: members.filter((name) => !copies.copies.some((copy) => copy.name === name)),
  }
}

/** What is configured of a copy's place. */
export function placeOf(retake: Pick<Retake, 'config'>, name: string): Pick<CopyView, 'place' | 'offsite'> {
  const { mirrors = [], place, repo = '' } = retake.config
  const mirror = mirrors.find((one) => one.name === name)
  const own = name === ORIGIN ? { place, url: repo, offsite: undefined } : mirror
  return {
    ...(own?.place === undefined ? {} : { place: own.place }),
    offsite: own?.offsite ?? /^s3:/i.test(own?.url ?? ''),
  }
}

function stateOf(
  copy: Copy,
  facts: {
    readonly seen: PlaceState | undefined
    readonly current: readonly Copy[]
    readonly joining: readonly Copy[]
    readonly mirrorSync: MirrorSync
  },
): CopyState {
  if (facts.seen && facts.seen.state !== 'present') return facts.seen.state
  if (facts.current.includes(copy)) return 'current'
  if (facts.joining.includes(copy)) return 'joining'
  return facts.mirrorSync === 'primary' ? 'following' : 'behind'
}

function lagMsOf(facts: {
  readonly state: CopyState
  readonly lag: CopyLag | undefined
  readonly syncedAt: string | undefined
  readonly now: Date
}): number | undefined {
  if (facts.lag?.missingObjects === 0 || (facts.state === 'current' && !facts.lag)) return 0
  if (facts.syncedAt === undefined) return undefined
  return Math.max(0, facts.now.getTime() - Date.parse(facts.syncedAt))
}
