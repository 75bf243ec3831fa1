/** What is seen of the place of a copy; and which of several places belong together. */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { type Copy, isFailureOfPlace } from './copy.ts'
import { IDENTITY_KEY, readNewestRecord, type StoredRecord } from './copy-record.ts'

/** What is seen of one place when it is looked at. */
export type PlaceState =
  | { readonly state: 'present'; readonly record: StoredRecord | undefined }
  /** No `retake.json`: new, or not what it was. */
  | { readonly state: 'empty' }
  /** Another repository. */
  | { readonly state: 'foreign' }
  | { readonly state: 'unreachable'; readonly error: RetakeError }

export type LookedAt =
  | PlaceState
  | { readonly state: 'identified'; readonly id: string; readonly record: StoredRecord | undefined }

export function recordsOf(states: readonly LookedAt[]): StoredRecord[] {
  return states.flatMap((state) => ('record' in state && state.record ? [state.record] : []))
}

export async function look(copy: Copy): Promise<LookedAt> {
  try {
    return await copy.ask(async (store) => {
      const identity = await store.get(IDENTITY_KEY)
      if (identity === undefined) return { state: 'empty' }
      return { state: 'identified', id: idOf(identity), record: await readNewestRecord(store) }
    })
  } catch (error) {
    if (!isFailureOfPlace(error) && !isRetakeError(error)) throw error
    if (isRetakeError(error, 'repo.missing')) return { state: 'unreachable', error }
    return { state: 'unreachable', error: error as RetakeError }
  }
}

/** The repository of the first place that can be read is the one; a damaged identity contradicts nothing. */
export function withoutForeign(states: readonly LookedAt[]): PlaceState[] {
  const known = states.find((state) => state.state === 'identified' && state.id !== '')
  const id = known?.state === 'identified' ? known.id : ''
  return states.map((state) => {
    if (state.state !== 'identified') return state
    const isForeign = state.id !== '' && state.id !== id
    return isForeign ? { state: 'foreign' } : { state: 'present', record: state.record }
  })
}

function idOf(identity: Uint8Array): string {
  try {
    const value: unknown = JSON.parse(Buffer.from(identity).toString('utf8'))
    const id = (value as { repositoryId?: unknown } | null)?.repositoryId
    return typeof id === 'string' ? id : ''
  } catch {
    return ''
  }
}

export function resting(copy: Copy): LookedAt {
  const error = new RetakeError(
    'storage.failed',
    `The copy "${copy.name}" failed a moment ago and is left alone for a while.`,
  )
  return { state: 'unreachable', error }
}
