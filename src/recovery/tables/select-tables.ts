/** From the names of tables to the files of a backup that are laid out for them. */
import type { DatabaseRow } from '../../postgres/catalog/catalog-rows.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import type { PlanTables } from '../plan-types.ts'
import { BackupCatalog } from './backup-catalog.ts'
import { chooseRelations, isLeftOutFile, type RelationChoice } from './choose-relations.ts'
import { formatTable, type TableName } from './table-name.ts'

export interface TablesWanted {
  readonly database: string
  readonly tables: readonly TableName[]
}

/** What a replay has shown to be needed beyond what the backup's own catalogs said. */
export interface MoreWanted {
  /** Places of relations (`placeKey`). */
  readonly places: readonly string[]
  /** The wanted database, under another name in the backup. */
  readonly database?: number | undefined
  /** The database that the backup has under this name has another name at the target, or is gone: another way in is needed. */
  readonly template?: boolean | undefined
}

export interface TableSelection {
  readonly wanted: TablesWanted
  readonly backupId: string
  /** Of the wanted database; undefined when the backup has none of that name. */
  readonly database: number | undefined
  /** Whether there is a database to enter beside the wanted one. */
  readonly hasTemplate: boolean
  /** Whether this file of the backup is left out. */
  readonly leavesOut: (path: string) => boolean
  /** Tables that the backup does not know by these names. */
  readonly unknown: readonly string[]
  /** Who can be logged in as. */
  readonly superusers: readonly string[]
}

/** @throws RetakeError `repo.damaged` */
export async function selectTables(
  cluster: ClusterRepository,
  options: {
    readonly backup: BackupSummary
    readonly wanted: TablesWanted
    readonly more?: MoreWanted | undefined
    readonly signal?: AbortSignal | undefined
  },
): Promise<TableSelection> {
  const { backup, wanted, more = { places: [] }, signal } = options
  const source = await BackupCatalog.open(cluster, backup, { signal })
  const [databases, superusers] = await Promise.all([source.databases(), source.superusers()])
  // Made anew under the same name, it is there twice: what is left of the older one has no files.
  const named = databases.filter(({ oid, name }) =>
    more.database === undefined ? name === wanted.database : oid === more.database,
  )
  const found = await firstWithFiles(source, named)
  const choice: RelationChoice = found
    ? chooseRelations(found, wanted.tables)
    : { ofUsers: new Set(), kept: new Set(), unknown: wanted.tables }
  const also = new Set(more.places)
  const hasTemplate = found === undefined || wanted.tables.length === 0 || more.template === true
  return {
    wanted,
    backupId: backup.backupId,
    database: found?.oid,
    hasTemplate,
    leavesOut: (path) => isLeftOutFile(path, { database: found?.oid, choice, also, needsTemplate: hasTemplate }),
    unknown: choice.unknown.map(formatTable),
    superusers,
  }
}

/** As a plan shows it. */
export function describeSelection({ wanted, unknown }: TableSelection): PlanTables {
  return { database: wanted.database, tables: wanted.tables.map(formatTable), notInBackup: unknown }
}

async function firstWithFiles(source: BackupCatalog, databases: readonly DatabaseRow[]) {
  for (const database of databases) {
    const catalog = await source.database(database)
    if (catalog) return catalog
  }
  return undefined
}
