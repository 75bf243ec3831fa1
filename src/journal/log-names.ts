/**
 * What files are called that no backup knows, out of the rows of catalogs that the log holds. A row of which the log has only what was
 * changed is put together with its old version: the place where that lies may have been used again meanwhile, so a new file is believed to be
 * the table's only where the same transaction made it, and gave up the file that the old version names.
 */
import {
  CATALOG,
  type DatabaseRow,
  databaseRow,
  namespaceRow,
  type RelationRow,
  relationRow,
} from '../postgres/catalog/catalog-rows.ts'
import type { HeapRow } from '../postgres/catalog/heap-page.ts'
import { type CatalogRowEvent, ROW_HEAD_BYTES } from '../postgres/wal/decode/catalog-row.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import { type JournalTransaction, positionOf } from './block.ts'
import { fileKey } from './file-key.ts'

export interface LogNames {
  readonly databases: readonly DatabaseRow[]
  readonly namespaces: readonly { readonly database: number; readonly oid: number; readonly name: string }[]
  readonly relations: readonly LoggedRelation[]
  /** Those that did not exist before, and do at the end. */
  readonly made: readonly LoggedRelation[]
}

export interface LoggedRelation {
  /** Its number is 0 where the relation has no file. */
  readonly file: RelationFile
  readonly row: RelationRow
}

export interface LogNamesOptions {
  /** Of the server that wrote the log. */
  readonly major: number
  /** Versions of the rows of `pg_class` as backups have them, by {@link placeOfRow}. */
  readonly known: ReadonlyMap<string, readonly HeapRow[]>
}

/** Of the transaction that a row is changed by. */
interface Files {
  readonly made: ReadonlySet<string>
  readonly dropped: ReadonlySet<string>
}

/** A row version, as much of it as is read. */
interface Version {
  readonly head: Uint8Array
  readonly lengthBytes: number
}

/** Of how many old versions that may have lain at a place the new one is tried. */
const MOST_VERSIONS = 8

/** The names in the transactions that were committed. */
export function namesInLog(transactions: readonly JournalTransaction[], options: LogNamesOptions): LogNames {
  const reader = new CatalogReader(options)
  const inOrder = transactions
    .filter(({ outcome, wholeFiles }) => outcome === 'committed' && wholeFiles.some(isCatalogRow))
    .sort((left, right) => (positionOf(left) < positionOf(right) ? -1 : 1))
  for (const transaction of inOrder) reader.add(transaction)
  return reader
}

/** Nothing of it has to be taken from the old version. */
const isWhole = ({ change, from }: CatalogRowEvent) =>
  change !== 'delete' && (from === undefined || from.prefixBytes + from.suffixBytes === 0)

const isCatalogRow = ({ type }: { readonly type: string }) => type === 'catalog-row'

export function placeOfRow(database: number, { block, offset }: Pick<HeapRow, 'block' | 'offset'>): string {
  return `${database}/${block}/${offset}`
}

class CatalogReader implements LogNames {
  readonly databases: DatabaseRow[] = []
  readonly namespaces: { readonly database: number; readonly oid: number; readonly name: string }[] = []
  readonly relations: LoggedRelation[] = []
  readonly #options: LogNamesOptions
  readonly #versions = new Map<string, readonly Version[]>()
  /** By the place of their row. */
  readonly #made = new Map<string, LoggedRelation>()

  constructor(options: LogNamesOptions) {
    this.#options = options
  }

  add({ wholeFiles, droppedFiles }: JournalTransaction): void {
    const made = new Set(wholeFiles.flatMap((one) => (one.type === 'file-create' ? [fileKey(one.file)] : [])))
    const dropped = new Set(droppedFiles.map(fileKey))
    for (const event of wholeFiles) {
      if (event.type !== 'catalog-row') continue
      if (event.file.relfilenode === CATALOG.relation) this.#addRelation(event, { made, dropped })
      else if (isWhole(event)) this.#addNamed(event)
    }
  }

  get made(): LoggedRelation[] {
    return [...this.#made.values()]
  }

  #addNamed({ file, ...event }: CatalogRowEvent): void {
    const columns = viewOf(Buffer.from(event.head, 'base64'))
    if (file.relfilenode === CATALOG.database) {
      const row = databaseRow(columns)
      if (row) this.databases.push(row)
      return
    }
    const row = namespaceRow(columns)
    if (row) this.namespaces.push({ database: file.database, ...row })
  }

  #addRelation(event: CatalogRowEvent, files: Files): void {
    const { file, from, change } = event
    const place = placeOfRow(file.database, event)
    const oldPlace = from ? placeOfRow(file.database, from) : place
    const wasMade = this.#made.get(oldPlace)
    this.#made.delete(oldPlace)
    if (change === 'delete') return
    const versions = this.#newVersions(event, { ...files, oldPlace })
    this.#versions.set(place, versions)
    const [relation] = versions.map((one) => this.#relationOf(one, file))
    if (relation && (change === 'insert' || wasMade)) this.#made.set(place, relation)
    else if (wasMade) this.#made.set(place, wasMade)
  }

  #newVersions(event: CatalogRowEvent, { made, dropped, oldPlace }: Files & { readonly oldPlace: string }): Version[] {
    const { file, from, lengthBytes } = event
    const logged = { head: Buffer.from(event.head, 'base64'), lengthBytes }
    if (from === undefined || isWhole(event)) {
      this.#learn(this.#relationOf(logged, file))
      return [logged]
    }
    return this.#versionsAt(oldPlace).flatMap((old) => {
      const version = newVersion(old, { ...logged, ...from })
      const [was, is] = [this.#relationOf(old, file), version && this.#relationOf(version, file)]
      if (!version || !was || !is || was.row.oid !== is.row.oid) return []
      const isSameFile = fileKey(was.file) === fileKey(is.file)
      if (!isSameFile && !(dropped.has(fileKey(was.file)) && made.has(fileKey(is.file)))) return []
      if (!isSameFile) this.#learn(is)
      return [version]
    })
  }

  #versionsAt(place: string): readonly Version[] {
    const known = this.#options.known.get(place) ?? []
    const versions = known.map(({ columns }) => ({
      head: new Uint8Array(columns.buffer, columns.byteOffset, columns.byteLength),
      lengthBytes: columns.byteLength,
    }))
    return [...(this.#versions.get(place) ?? []), ...versions].slice(0, MOST_VERSIONS)
  }

  #relationOf({ head }: Version, catalog: RelationFile): LoggedRelation | undefined {
    const row = relationRow(viewOf(head), this.#options.major)
    if (!row) return undefined
    const { database, tablespace } = catalog
    return { row, file: { database, tablespace: row.tablespace || tablespace, relfilenode: row.fileNumber } }
  }

  #learn(relation: LoggedRelation | undefined): void {
    if (relation && relation.row.fileNumber !== 0) this.relations.push(relation)
  }
}

/** Undefined when the two do not fit. */
function newVersion(
  old: Version,
  {
    head,
    lengthBytes,
    prefixBytes,
    suffixBytes,
  }: Version & { readonly prefixBytes: number; readonly suffixBytes: number },
): Version | undefined {
  const changedEnd = lengthBytes - suffixBytes
  if (prefixBytes > old.lengthBytes || suffixBytes > old.lengthBytes || changedEnd < prefixBytes) return undefined
  const row = new Uint8Array(Math.min(ROW_HEAD_BYTES, lengthBytes))
  row.set(old.head.subarray(0, Math.min(prefixBytes, row.length)))
  row.set(head.subarray(0, Math.max(0, row.length - prefixBytes)), Math.min(prefixBytes, row.length))
  // What follows is as it was, counted from the end.
  const shift = old.lengthBytes - lengthBytes
  for (let at = changedEnd; at < row.length; at += 1) row[at] = old.head[at + shift] ?? 0
  return { head: row, lengthBytes }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
