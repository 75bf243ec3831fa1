/**
 * Names for relation files, out of the catalogs that backups hold: a file is called what the newest backup calls it that knows it. One that
 * was made and dropped between two backups has no name here, and is shown without.
 */

import type { RelationRow } from '../postgres/catalog/catalog-rows.ts'
import { FIRST_USER_OID } from '../postgres/catalog/catalog-rows.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import { BackupCatalog } from '../recovery/tables/backup-catalog.ts'
import type { DatabaseCatalog } from '../recovery/tables/choose-relations.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { fileKey } from './file-key.ts'
import type { TableName } from './incident.ts'

const NAMELESS: TableName = { kind: 'unknown' }
const SHARED = 0

const KINDS: Readonly<Record<string, TableName['kind']>> = {
  r: 'table',
  m: 'table',
  p: 'table',
  i: 'index',
  I: 'index',
  t: 'toast',
  S: 'sequence',
}

export class RelationNames {
  readonly #byFile = new Map<string, TableName>()
  readonly #databases = new Map<number, string>()

  readonly nameOf = (file: RelationFile): TableName => {
    if (file.database === SHARED) return { kind: 'catalog' }
    const known = this.#byFile.get(fileKey(file))
    if (known) return known
    const database = this.#databases.get(file.database)
    if (file.relfilenode < FIRST_USER_OID) return { kind: 'catalog', ...(database === undefined ? {} : { database }) }
    return database === undefined ? NAMELESS : { ...NAMELESS, database }
  }

  readonly databaseName = (oid: number): string | undefined => this.#databases.get(oid)

  addDatabase({ oid, name }: { readonly oid: number; readonly name: string }): void {
    this.#databases.set(oid, name)
  }

  /** What is known already stays: backups are read from the newest on. */
  addCatalog(catalog: DatabaseCatalog): void {
    const schemas = new Map(catalog.namespaces.map(({ oid, name }) => [oid, name]))
    const database = this.#databases.get(catalog.oid)
    for (const row of catalog.relations) {
      const file = {
        tablespace: row.tablespace || catalog.tablespace,
        database: catalog.oid,
        relfilenode: row.fileNumber,
      }
      if (row.fileNumber === 0 || this.#byFile.has(fileKey(file))) continue
      this.#byFile.set(fileKey(file), tableName(row, { schema: schemas.get(row.namespace), database }))
    }
  }
}

function tableName(
  row: RelationRow,
  { schema, database }: { readonly schema: string | undefined; readonly database: string | undefined },
): TableName {
  return {
    kind: row.oid < FIRST_USER_OID ? 'catalog' : (KINDS[row.kind] ?? 'unknown'),
    table: row.name,
    ...(schema === undefined ? {} : { schema }),
    ...(database === undefined ? {} : { database }),
    ...(row.rows >= 0 ? { rows: Math.round(row.rows) } : {}),
  }
}

export interface ReadNamesOptions {
  readonly cluster: ClusterRepository
  /** The newest first. */
  readonly backups: readonly BackupSummary[]
  readonly signal?: AbortSignal | undefined
}

/** Reads backups until every file has a name, or there is no other backup. @throws RetakeError `repo.damaged`, `aborted` */
export async function readNames(files: readonly RelationFile[], options: ReadNamesOptions): Promise<RelationNames> {
  const { cluster, backups, signal } = options
  const names = new RelationNames()
  const databases = new Set(files.map(({ database }) => database))
  for (const backup of backups) {
    const catalog = await BackupCatalog.open(cluster, backup, { signal })
    for (const row of await catalog.databases()) {
      if (names.databaseName(row.oid) === undefined) names.addDatabase(row)
      if (!databases.has(row.oid)) continue
      const found = await catalog.database(row)
      if (found) names.addCatalog(found)
    }
    if (files.every((file) => names.nameOf(file).kind !== 'unknown')) break
  }
  return names
}
