/** The keys of everything in a repository; the only place that composes or takes apart an object key. */
import { RetakeError } from '../base/errors.ts'
import { isKeySegment } from '../storage/keys.ts'

export const REPOSITORY_KEY = 'retake.json'

const MAX_NAME_LENGTH = 63

/** @throws RetakeError `config.invalid` */
export function assertClusterName(name: string): void {
  if (isKeySegment(name) && !/^[.-]/.test(name) && name.length <= MAX_NAME_LENGTH) return
  throw new RetakeError('config.invalid', `"${name}" cannot be the name of a cluster.`, {
    hint: 'Use 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter, a digit or an underscore.',
  })
}

/** Backup ids are made by `timeOrderedId`. @throws RetakeError `backup.missing`, because no backup can have such an id */
export function assertBackupId(id: string): void {
  if (isBackupId(id)) return
  throw new RetakeError('backup.missing', `"${id}" is not the id of a backup.`, {
    hint: 'List the backups with `retake backups`.',
  })
}

export function isBackupId(id: string): boolean {
  return /^\d{8}T\d{6}Z-[0-9a-f]{8}$/.test(id)
}

export const clusterPrefix = (cluster: string) => `clusters/${cluster}/`
export const clusterFactsKey = (cluster: string) => `clusters/${cluster}/cluster`
export const epochPrefix = (cluster: string) => `clusters/${cluster}/keys/`
export const epochKey = (cluster: string, epoch: number) => `${epochPrefix(cluster)}${hex(epoch, 8)}`
/** What is recorded about the end of an epoch: `retiring` announces it, `retired` proves it. */
export const epochRecordKey = (cluster: string, epoch: number, what: 'retiring' | 'retired') =>
  `${epochKey(cluster, epoch)}.${what}`
/** What is recorded about the end of a cluster. */
export const shredPrefix = (cluster: string) => `clusters/${cluster}/shred/`
export const shredKey = (cluster: string, what: 'begun' | 'done') => `${shredPrefix(cluster)}${what}`
export const runsPrefix = (cluster: string) => `clusters/${cluster}/runs/`
export const runKey = (cluster: string, backupId: string, what: 'begun' | 'done' | 'failed') =>
  `${runsPrefix(cluster)}${backupId}.${what}`
export const backupsPrefix = (cluster: string) => `clusters/${cluster}/backups/`
/** Revision 0 is what the backup wrote; later ones are rewrites of it, of which the highest counts. */
export const manifestName = (backupId: string, revision = 0) =>
  `${backupId}${revision === 0 ? '' : `.${hex(revision, 8)}`}`
export const manifestKey = (cluster: string, backupId: string, revision = 0) =>
  `${backupsPrefix(cluster)}${manifestName(backupId, revision)}`
export const rewriteRunKey = (cluster: string, runId: string) => `${runsPrefix(cluster)}${runId}.rewrite`
export const condemnedPrefix = (cluster: string) => `clusters/${cluster}/condemned/`
export const holdsPrefix = (cluster: string) => `clusters/${cluster}/holds/`
export const verifiedPrefix = (cluster: string) => `clusters/${cluster}/verified/`
/** What the last verification found; no backup has this id. */
export const lastVerificationKey = (cluster: string) => `${verifiedPrefix(cluster)}last`
export const verifiedKey = (cluster: string, backupId: string) => `${verifiedPrefix(cluster)}${backupId}`
export const drillsPrefix = (cluster: string) => `clusters/${cluster}/drills/`
export const drillKey = (cluster: string, id: string) => `${drillsPrefix(cluster)}${id}`
export const journalPrefix = (cluster: string) => `clusters/${cluster}/journal/`
export const journalKey = (
  cluster: string,
  { timeline, firstSegment }: { readonly timeline: number; readonly firstSegment: bigint },
) => `${journalPrefix(cluster)}${hex(timeline, 8)}/${hex(firstSegment, 16)}`
export const readersPrefix = (cluster: string) => `clusters/${cluster}/readers/`
export const leasesPrefix = (cluster: string) => `clusters/${cluster}/leases/`
export const leasePrefix = (cluster: string, role: string) => `${leasesPrefix(cluster)}${role}/`

/**
 * Keys of objects that refer to others, as regular expressions: in each place of a repository they come after what they refer to
 * (packs before manifests, manifests before receipts, WAL before the position).
 */
export const REFERRING_KEYS: readonly string[] = [
  '^clusters/[^/]+/backups/',
  '^clusters/[^/]+/runs/[^/]+\\.done$',
  '^clusters/[^/]+/wal/position$',
  '^clusters/[^/]+/index/',
]

/** What a key below `clusters/<cluster>/keys/` is, or undefined when it is none of Retake's. */
export function parseEpochKey(
  cluster: string,
  key: string,
): { readonly epoch: number; readonly what: 'key' | 'retiring' | 'retired' } | undefined {
  const [, digits, what = 'key'] =
    /^([0-9A-F]{8})(?:\.(retiring|retired))?$/.exec(key.slice(epochPrefix(cluster).length)) ?? []
  if (digits === undefined) return undefined
  return { epoch: Number.parseInt(digits, 16), what: what as 'key' | 'retiring' | 'retired' }
}
export const summaryIndexKey = (cluster: string) => `clusters/${cluster}/index/summaries`

export const PACKS_PREFIX = 'packs/'

/** The first eight digits of the ids of all packs that a backup writes. */
export function packIdPrefix(backupId: string): string {
  return backupId.slice(-8)
}

/** Packs are spread over 256 folders by their last digits, because the first ones are alike within a backup. */
export function packKey(packId: string): string {
  return `${PACKS_PREFIX}${packId.slice(-2)}/${packId}`
}

export function parsePackKey(key: string): string | undefined {
  const packId = /^packs\/[0-9a-f]{2}\/([0-9a-f]{32})$/.exec(key)?.[1]
  return packId !== undefined && packKey(packId) === key ? packId : undefined
}

/** What the name of an object below `backups/` says, or undefined when it is none of Retake's. */
export function parseManifestName(name: string): { readonly backupId: string; readonly revision: number } | undefined {
  const [backupId = '', digits, ...rest] = name.split('.')
  if (!isBackupId(backupId) || rest.length > 0) return undefined
  if (digits === undefined) return { backupId, revision: 0 }
  const revision = /^[0-9A-F]{8}$/.test(digits) ? Number.parseInt(digits, 16) : 0
  return revision > 0 ? { backupId, revision } : undefined
}

/** What a key below `journal/` is, or undefined when it is none of Retake's. */
export function parseJournalKey(
  cluster: string,
  key: string,
): { readonly timeline: number; readonly firstSegment: bigint } | undefined {
  const [, timeline, segment] = /^([0-9A-F]{8})\/([0-9A-F]{16})$/.exec(key.slice(journalPrefix(cluster).length)) ?? []
  if (timeline === undefined || segment === undefined) return undefined
  return { timeline: Number.parseInt(timeline, 16), firstSegment: BigInt(`0x${segment}`) }
}

/** Upper-case hexadecimal, padded: the order of the keys is the order of the numbers. */
export function hex(value: number | bigint, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
