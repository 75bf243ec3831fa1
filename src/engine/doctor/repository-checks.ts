/** Whether the repository can be used, opened in an emergency, and is being fed. Pure decisions. */
import type { RetakeError } from '../../base/errors.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import type { StorageProbe } from '../../storage/storage-probe.ts'
import { whyUnsuitable } from '../../storage/suitability.ts'
import { PROOF_MAX_AGE_DAYS } from '../keys/recommendations.ts'
import { type Check, failed, formatGiB, passed, skipped, unknown, type Verdict, warning } from './check.ts'

export interface RepositoryFacts {
  /** Undefined when it opened. */
  readonly openError: RetakeError | undefined
  readonly url: string | undefined
  /** Undefined when a probe could be written and taken away again. */
  readonly writeError: RetakeError | undefined
  /** What the storage does when it is tried; undefined where nothing depends on the place, or it could not be tried. */
  readonly storage: StorageProbe | undefined
  readonly space: { readonly freeBytes: number; readonly totalBytes: number } | undefined
  readonly holders: readonly { readonly kind: string; readonly label: string }[]
  /** When a recovery kit was last proven to restore, ISO 8601 UTC; undefined: never. */
  readonly kitProvenAt?: string | undefined
  readonly clusterName: string
  /** Undefined: not registered. */
  readonly cluster: { readonly systemIdentifier: string } | undefined
  readonly backups: readonly BackupSummary[]
  readonly damagedBackups: readonly string[]
  /** Who receives WAL now, as its lease says; undefined: nobody. */
  readonly receiver: { readonly holder: string } | undefined
  readonly nowMs: number
  readonly backupMaxAgeHours: number
  /** What the server says it is; undefined when it could not be asked. */
  readonly serverSystemIdentifier: string | undefined
  /** Whether the repository lies on the same disk as the data directory; undefined when that cannot be seen from here. */
  readonly sharesDiskWithData: boolean | undefined
}

/** Runs `judge` when the repository is open. */
function whenOpen(facts: RepositoryFacts, judge: () => ReturnType<Check<RepositoryFacts>['judge']>) {
  return facts.openError ? skipped('The repository is not open.') : judge()
}

function whenRegistered(facts: RepositoryFacts, judge: () => ReturnType<Check<RepositoryFacts>['judge']>) {
  return whenOpen(facts, () => (facts.cluster ? judge() : skipped('The cluster is not registered.')))
}

const opens: Check<RepositoryFacts> = {
  id: 'repository.open',
  title: 'Repository and key',
  judge: ({ openError, url }) =>
    openError
      ? failed(openError.message, openError.hint ?? 'retake init')
      : passed(`The repository ${url} opens with the key that is configured.`),
}

const writable: Check<RepositoryFacts> = {
  id: 'repository.writable',
  title: 'Repository can be written',
  judge: (facts) =>
    whenOpen(facts, () =>
      facts.writeError
        ? failed(facts.writeError.message, facts.writeError.hint ?? `Make ${facts.url} writable for this user.`)
        : passed('A probe was written and taken away again.'),
    ),
}

const storage: Check<RepositoryFacts> = {
  id: 'repository.storage',
  title: 'Storage does what a repository needs',
  judge: (facts) =>
    whenOpen(facts, () => {
      if (facts.writeError) return skipped('It cannot be written, so it could not be tried.')
      if (!facts.storage) return skipped('A directory needs no trial beyond writing.')
      const error = whyUnsuitable(facts.storage, facts.url ?? '')
      if (error) return failed(error.message, error.hint ?? '')
      const { largeObjects, keepsVersions, objectLock } = facts.storage
      return passed(
        `A second write to one name is refused; listings and deletions are seen at once; large objects go by ${largeObjects === 'multipart' ? 'multipart uploads' : 'a spool file'}; ${keepsVersions ? 'versions are kept' : 'no versions'}; Object Lock ${objectLock}.`,
      )
    }),
}

const space: Check<RepositoryFacts> = {
  id: 'repository.space',
  title: 'Space for backups',
  judge: (facts) => whenOpen(facts, () => judgeSpace(facts)),
}

export function judgeSpace(facts: Pick<RepositoryFacts, 'space' | 'backups' | 'url'>): Verdict {
  if (!facts.space) return unknown('The free space of this kind of repository cannot be seen.')
  const { freeBytes, totalBytes } = facts.space
  // The next one may have to be a full one.
  const last = facts.backups.findLast(({ type }) => type === 'full') ?? facts.backups.at(-1)
  const next = last?.storedBytes ?? 0
  const said = `${formatGiB(freeBytes)} of ${formatGiB(totalBytes)} are free`
  if (freeBytes < next) {
    return failed(
      `${said}; the last full backup took ${formatGiB(next)}, so the next one does not fit.`,
      `Give ${facts.url} more space.`,
    )
  }
  if (freeBytes < 2 * next || freeBytes < totalBytes / 20) return warning(`${said}.`, `Give ${facts.url} more space.`)
  return passed(`${said}.`)
}

function judgeProof({ kitProvenAt, nowMs }: RepositoryFacts) {
  const tryIt = 'retake keys escrow-test   # type the key from the page'
  if (kitProvenAt === undefined) return warning('A recovery kit was made, and was never tried.', tryIt)
  const days = Math.floor((nowMs - Date.parse(kitProvenAt)) / 86_400_000)
  return days > PROOF_MAX_AGE_DAYS
    ? warning(`A recovery kit was last tried ${days} days ago (${kitProvenAt}).`, tryIt)
    : passed(`A recovery kit was proven to restore at ${kitProvenAt}.`)
}

const kit: Check<RepositoryFacts> = {
  id: 'repository.recovery-kit',
  title: 'Recovery kit',
  judge: (facts) =>
    whenOpen(facts, () =>
      facts.holders.some(({ kind }) => kind === 'recovery-kit')
        ? judgeProof(facts)
        : warning(
            'There is no recovery kit: with the one key lost, every backup is lost.',
            'retake keys kit kit.txt   # print it, delete the file',
          ),
    ),
}

const separateDisk: Check<RepositoryFacts> = {
  id: 'repository.separate-disk',
  title: 'Repository apart from the data',
  judge: (facts) =>
    whenOpen(facts, () => {
      if (facts.sharesDiskWithData === undefined)
        return skipped('The data directory is not on this machine, or cannot be seen.')
      return facts.sharesDiskWithData
        ? warning(
            'Repository and data directory lie on the same disk: its loss takes both.',
            'Put the repository on another machine or disk.',
          )
        : passed('Repository and data directory lie on different disks.')
    }),
}

const registered: Check<RepositoryFacts> = {
  id: 'repository.cluster',
  title: 'Cluster registered, and the same server',
  judge: (facts) =>
    whenOpen(facts, () => {
      if (!facts.cluster)
        return failed(`The cluster "${facts.clusterName}" is not registered in the repository.`, 'retake init')
      const { systemIdentifier } = facts.cluster
      if (facts.serverSystemIdentifier === undefined)
        return unknown(`Registered as system ${systemIdentifier}; the server could not be asked.`)
      return facts.serverSystemIdentifier === systemIdentifier
        ? passed(`"${facts.clusterName}" is system ${systemIdentifier}.`)
        : failed(
            `Another server answers: its system identifier is ${facts.serverSystemIdentifier}, registered is ${systemIdentifier}.`,
            'Correct RETAKE_DATABASE_URL, or register this server under another name: retake init --cluster NAME',
          )
    }),
}

const receiver: Check<RepositoryFacts> = {
  id: 'repository.receiver',
  title: 'Receiver running',
  judge: (facts) =>
    whenRegistered(facts, () =>
      facts.receiver
        ? passed(`WAL is received by ${facts.receiver.holder}.`)
        : warning(
            'No receiver is running: moments after the last backup are not recoverable, and WAL piles up on the server.',
            'retake wal receive   # as a service',
          ),
    ),
}

const backups: Check<RepositoryFacts> = {
  id: 'repository.backups',
  title: 'Recent backup',
  judge: (facts) =>
    whenRegistered(facts, () => {
      const [damaged] = facts.damagedBackups
      if (damaged !== undefined) return failed(`The backup ${damaged} cannot be read.`, 'retake verify --deep')
      const last = facts.backups.at(-1)
      if (!last) return failed('There is no backup yet.', 'retake backup')
      const hours = (facts.nowMs - Date.parse(last.stoppedAt)) / 3_600_000
      const said = `The last backup (${last.backupId}) is ${hours.toFixed(1)} hours old`
      return hours > facts.backupMaxAgeHours
        ? warning(`${said}, more than ${facts.backupMaxAgeHours}.`, 'retake backup')
        : passed(`${said}.`)
    }),
}

export const repositoryChecks: readonly Check<RepositoryFacts>[] = [
  opens,
  writable,
  storage,
  space,
  kit,
  separateDisk,
  registered,
  receiver,
  backups,
]
