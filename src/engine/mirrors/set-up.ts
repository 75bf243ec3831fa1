/** Mirrors when a repository is set up: made with it, and never mistaken for what was lost. */
import { RetakeError, type SerializedError } from '../../base/errors.ts'
import { mirroredStoreOf, syncRepository } from '../../repository/mirrors/sync.ts'
import { isRepository, type Repository, repositoryAt } from '../../repository/repository.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import { copyPlaces, openPlaces, type RetakeSettings } from '../open.ts'
import { preparePlaces } from './prepare-places.ts'

export interface MirrorSetUp {
  readonly name: string
  readonly url: string
  /** `failed`: see `error`; the repository is usable all the same, and `retake repo sync --set-up` tries again. */
  readonly outcome: 'created' | 'exists' | 'failed'
  readonly error?: SerializedError | undefined
}

/**
 * Whether the repository exists, in whichever of its places.
 * @throws RetakeError `repo.missing` when only its first place is empty: making a new one there would be a mistake
 */
export async function isRepositoryThere(settings: RetakeSettings): Promise<boolean> {
  const [origin, ...mirrors] = copyPlaces(settings)
  if (origin === undefined || (await isRepository(origin.url))) return true
  for (const { name, url } of mirrors) {
    if (!(await isRepository(url).catch(() => false))) continue
    throw new RetakeError(
      'repo.missing',
      `${origin.url} is empty, but its mirror "${name}" (${url}) holds a repository.`,
      {
        hint: 'If its file system is not mounted, mount it. If it is lost: retake repo sync --set-up fills it from the mirror.',
      },
    )
  }
  return false
}

/** Makes the mirrors that are configured and do not exist yet. */
export async function setUpMirrors(settings: RetakeSettings, repository: Repository): Promise<MirrorSetUp[]> {
  const places = copyPlaces(settings)
  if (places.length === 1) return []
  await preparePlaces(settings)
  const opened = repository.store instanceof MirroredStore ? undefined : await openPlaces(settings)
  if (typeof opened === 'string') return []
  await using store = opened
  const whole = store ? repositoryAt(repository, store) : repository
  const before = await knownCopies(mirroredStoreOf(whole))
  const reports = await syncRepository({ repository: whole, setUp: true, clock: settings.clock })
  return reports.map(({ name, outcome, error }) => ({
    name,
    url: places.find((place) => place.name === name)?.url ?? '',
    outcome: outcome === 'failed' || outcome === 'conflict' ? 'failed' : before.includes(name) ? 'exists' : 'created',
    ...(error ? { error } : {}),
  }))
}

async function knownCopies(store: MirroredStore): Promise<readonly string[]> {
  await store.copies.load()
  return store.copies.record.members
}
