/** Which earlier backup an incremental one builds upon, and which of its files can be judged by page LSNs. Pure decisions. */
import { reachesOnPath, type TimelinePath } from '../../catalog/timeline-path.ts'
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { BackupSummary, DatabaseVersion } from '../../repository/manifest.ts'

/** The server as it is when a backup begins. */
export interface ServerPoint {
  readonly timelinePath: TimelinePath
  /** Before the backup has begun: where the log is. Later: where its replay begins. */
  readonly lsn: Lsn
  readonly dataChecksums: boolean
  readonly blockSizeBytes: number
}

export type ParentFacts = Pick<
  BackupSummary,
  'backupId' | 'timeline' | 'startLsn' | 'stopTimeline' | 'stopLsn' | 'dataChecksums' | 'blockSizeBytes' | 'databases'
>

/**
 * Why a backup cannot be the parent: a sentence; undefined when it can.
 *
 * All of it, to its stop, must lie on the server's own path of timelines, and before the new start: only then does a page
 * whose LSN is not beyond its start have the content that it stored, whichever of its copies the server is.
 */
export function whyNoParent(parent: ParentFacts, server: ServerPoint): string | undefined {
  const { backupId, stopLsn, startLsn } = parent
  if (parent.blockSizeBytes !== server.blockSizeBytes) return `${backupId} has pages of another size`
  const onPath =
    reachesOnPath(server.timelinePath, parent.stopTimeline, parseLsn(stopLsn)) &&
    reachesOnPath(server.timelinePath, parent.timeline, parseLsn(startLsn))
  if (!onPath)
    return `the server's history left timeline ${parent.stopTimeline} before the end of ${backupId} (${stopLsn})`
  if (parseLsn(stopLsn) > server.lsn) return `the server has not come as far as the end of ${backupId} (${stopLsn})`
  return undefined
}

/** Why page LSNs say nothing about what changed since the parent; its content can be compared all the same. */
export function whyNoPageLsns(parent: ParentFacts, server: ServerPoint): string | undefined {
  if (parent.dataChecksums !== server.dataChecksums) {
    return `page checksums were switched ${server.dataChecksums ? 'on' : 'off'} since ${parent.backupId}, which rewrites pages without moving their LSN`
  }
  if (parent.databases === undefined) return `${parent.backupId} does not say which databases there were`
  return undefined
}

/**
 * Databases that were the same at both looks. A database that is dropped and made again under its old oid, with files copied from
 * a template, has pages with old LSNs that the parent never saw; its row in `pg_database` is a new one, though.
 */
export function sameDatabases(
  before: readonly DatabaseVersion[],
  after: readonly DatabaseVersion[],
): DatabaseVersion[] {
  const versions = new Map(before.map(({ oid, version }) => [oid, version]))
  return after.filter(({ oid, version }) => versions.get(oid) === version)
}

/** Whether a relation's file belongs to one of these databases, or to the cluster as a whole. */
export function belongsTo(databases: readonly DatabaseVersion[]): (path: string) => boolean {
  const oids = new Set(databases.map(({ oid }) => String(oid)))
  return (path) => {
    const [top, ...rest] = path.split('/')
    if (top === 'global') return true
    const oid = top === 'base' ? rest[0] : rest[2]
    return oid !== undefined && oids.has(oid)
  }
}
