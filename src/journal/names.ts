/**
 * Names for relation files, out of the catalogs that backups hold: a file is called what the newest backup calls it that knows it. One that
 * no backup knows is called what the log says of it. What neither knows has no name here, and is shown without.
 */

import type { RelationRow } from '../postgres/catalog/catalog-rows.ts'
import { FIRST_USER_OID } from '../postgres/catalog/catalog-rows.ts'
import type { HeapRow } from '../postgres/catalog/heap-page.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import { BackupCatalog } from '../recovery/tables/backup-catalog.ts'
import type { DatabaseCatalog } from '../recovery/tables/choose-relations.ts'
import { majorOf } from '../recovery/wal-log.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { JournalTransaction } from './block.ts'
import { fileKey } from './file-key.ts'
import type { TableName } from './incident.ts'
import { type LoggedRelation, type LogNames, namesInLog, placeOfRow } from './log-names.ts'

const NAMELESS: TableName = { kind: 'unknown' }
const SHARED = 0

const KINDS: Readonly<Record<string, TableName['kind']>> = {
  r: 'table',
  m: 'table',
  p: 'table',
  f: 'table',
  v: 'view',
  i: 'index',
  I: 'index',
  t: 'toast',
  S: 'sequence',
}

export class RelationNames {
  readonly #byFile = new Map<string, TableName>()
  readonly #databases = new Map<number, string>()
  readonly #made: TableName[] = []
  /** By database and oid. */
  readonly #schemas = new Map<string, string>()

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

  /** What backups know stays; of what the log says, the newest counts. */
  addLog({ databases, namespaces, relations, made }: LogNames): void {
    for (const { oid, name } of databases) if (!this.#databases.has(oid)) this.#databases.set(oid, name)
    for (const { database, oid, name } of namespaces) this.#schemas.set(`${database}/${oid}`, name)
    const byFile = new Map(relations.map((one) => [fileKey(one.file), one]))
    for (const [key, { file, row }] of byFile) {
      if (!this.#byFile.has(key)) this.#byFile.set(key, this.#nameInLog({ file, row }))
    }
    for (const one of made) this.#made.push(this.#nameInLog(one))
  }

  /** What did not exist before the transactions that were given, and does after them: tables, views, indexes … */
  get made(): readonly TableName[] {
    return this.#made
  }

  #nameInLog({ file: { database }, row }: LoggedRelation): TableName {
    const schema = this.#schemas.get(`${database}/${row.namespace}`) ?? this.#schemaOfSystem(row.namespace)
    return tableName(row, { schema, database: this.#databases.get(database) })
  }

  /** A schema that every database is made with has the same oid in all: a new one calls it as the others do. */
  #schemaOfSystem(oid: number): string | undefined {
    if (oid >= FIRST_USER_OID) return undefined
    const names = new Set([...this.#schemas].flatMap(([key, name]) => (key.endsWith(`/${oid}`) ? [name] : [])))
    return names.size === 1 ? [...names][0] : undefined
  }

  /** What is known already stays: backups are read from the newest on. */
  addCatalog(catalog: DatabaseCatalog): void {
    const schemas = new Map(catalog.namespaces.map(({ oid, name }) => [oid, name]))
    for (const [oid, name] of schemas) {
      const key = `${catalog.oid}/${oid}`
      if (!this.#schemas.has(key)) this.#schemas.set(key, name)
    }
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
  /** What the log says of files that no backup knows is looked for in these. */
  readonly transactions?: readonly JournalTransaction[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** Reads backups until every file has a name, or there is no other backup; then what the log says. @throws RetakeError `repo.damaged`, `aborted` */
export async function readNames(files: readonly RelationFile[], options: ReadNamesOptions): Promise<RelationNames> {
  const { cluster, backups, transactions = [], signal } = options
  const names = new RelationNames()
  const isComplete = () => files.every((file) => names.nameOf(file).kind !== 'unknown')
  const databases = new Set(files.map(({ database }) => database))
  for (const backup of backups) {
    const catalog = await BackupCatalog.open(cluster, backup, { signal })
    for (const row of await catalog.databases()) {
      if (names.databaseName(row.oid) === undefined) names.addDatabase(row)
      if (!databases.has(row.oid)) continue
      const found = await catalog.database(row)
      if (found) names.addCatalog(found)
    }
    if (isComplete()) break
  }
  if (transactions.length > 0) {
    const known = isComplete() ? new Map<string, HeapRow[]>() : await readVersions(files, options)
    names.addLog(namesInLog(transactions, { known, major: majorOf(cluster) }))
  }
  return names
}

/** Rows of `pg_class` that the log may have changed only in part: as the newest backup that has the database holds them. */
async function readVersions(
  files: readonly RelationFile[],
  { cluster, backups, signal }: ReadNamesOptions,
): Promise<Map<string, HeapRow[]>> {
  const left = new Set(files.map(({ database }) => database))
  const known = new Map<string, HeapRow[]>()
  for (const backup of backups) {
    if (left.size === 0) break
    const catalog = await BackupCatalog.open(cluster, backup, { signal })
    for (const row of await catalog.databases()) {
      if (!left.delete(row.oid)) continue
      for (const version of await catalog.relationVersions(row)) {
        const place = placeOfRow(row.oid, version)
        known.set(place, [...(known.get(place) ?? []), version])
      }
    }
  }
  return known
}
