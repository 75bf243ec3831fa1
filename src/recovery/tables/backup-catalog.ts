/** Reads system catalogs out of the files of a backup. Nothing is started, and only their own frames are fetched. */
import { throwIfAborted } from '../../base/abort.ts'
import {
  CATALOG,
  type DatabaseRow,
  databaseRow,
  GLOBAL_TABLESPACE,
  indexRow,
  inheritsRow,
  namespaceRow,
  ownedRow,
  parseFileMap,
  relationRow,
  superuserRow,
} from '../../postgres/catalog/catalog-rows.ts'
import { type HeapRow, heapRows } from '../../postgres/catalog/heap-page.ts'
import { isRelationFile, placeKey, type RelationPlace, relationPlace } from '../../postgres/relation-path.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { damaged } from '../../repository/container.ts'
import type { BackupSummary, FileEntry, PackEntry } from '../../repository/manifest.ts'
import { readEntries } from '../../repository/manifest-store.ts'
import { FrameSource } from '../frame-source.ts'
import type { DatabaseCatalog } from './choose-relations.ts'

const FILE_MAP = /^(?:global|base\/(\d+)|pg_tblspc\/\d+\/PG_\d+_\d+\/(\d+))\/pg_filenode\.map$/
/** A catalog that was never rewritten lies in the file of its own number. */
const USUAL_NUMBERS: ReadonlySet<number> = new Set(Object.values(CATALOG))

/** A relation's file goes on in another one after so much. */
const GIB = 1024 ** 3

export class BackupCatalog {
  readonly #cluster: ClusterRepository
  readonly #summary: BackupSummary
  readonly #signal: AbortSignal | undefined
  readonly #packs: PackEntry[] = []
  /** By database; 0 holds those of what all share. */
  readonly #maps = new Map<number, FileEntry>()
  readonly #files = new Map<string, FileEntry[]>()
  #frames: FrameSource | undefined

  private constructor(cluster: ClusterRepository, summary: BackupSummary, signal: AbortSignal | undefined) {
    this.#cluster = cluster
    this.#summary = summary
    this.#signal = signal
  }

  static async open(
    cluster: ClusterRepository,
    summary: BackupSummary,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<BackupCatalog> {
    const catalog = new BackupCatalog(cluster, summary, options.signal)
    for await (const entry of readEntries(cluster, summary.backupId)) {
      throwIfAborted(options.signal)
      if (entry.type === 'pack') catalog.#packs.push(entry)
      if (entry.type !== 'file') continue
      const map = FILE_MAP.exec(entry.path)
      if (map) catalog.#maps.set(Number(map[1] ?? map[2] ?? 0), entry)
      const place = relationPlace(entry.path)
      if (place && USUAL_NUMBERS.has(place.fileNumber)) catalog.#note(place, entry)
    }
    return catalog
  }

  /** Every version of every row of `pg_database`. */
  async databases(): Promise<DatabaseRow[]> {
    return this.#rows(await this.#shared(CATALOG.database), databaseRow)
  }

  /** Roles that are, or were a moment before, superusers who may log in; the first that were made come first. */
  async superusers(): Promise<string[]> {
    const rows = await this.#rows(await this.#shared(CATALOG.authorization), superuserRow)
    return [...new Set(rows.sort((a, b) => a.oid - b.oid).map(({ name }) => name))]
  }

  /** Every version of every row of a database's `pg_class`, and where it lies. */
  async relationVersions({ oid, tablespace }: DatabaseRow): Promise<HeapRow[]> {
    const fileNumber = (await this.#map(oid))?.get(CATALOG.relation)
    return fileNumber === undefined ? [] : this.#versions({ tablespace, database: oid, fileNumber })
  }

  /** Undefined when the backup has no files of this database: it was made later. */
  async database({ oid, tablespace }: DatabaseRow): Promise<DatabaseCatalog | undefined> {
    const map = await this.#map(oid)
    const fileNumber = map?.get(CATALOG.relation)
    if (fileNumber === undefined) return undefined
    const major = Math.floor(this.#summary.serverVersionNum / 10_000)
    const relations = await this.#rows({ tablespace, database: oid, fileNumber }, (row) => relationRow(row, major))
    const placesOf = (catalog: number) =>
      relations
        .filter((one) => one.oid === catalog)
        .map((one) => ({ tablespace: one.tablespace || tablespace, database: oid, fileNumber: one.fileNumber }))
    const all = async <R>(catalog: number, decode: (row: DataView) => R | undefined) => {
      // Rewritten while the backup was made, it may lie in either file.
      const places = new Map(placesOf(catalog).map((place) => [placeKey(place), place]))
      return (await Promise.all([...places.values()].map((place) => this.#rows(place, decode)))).flat()
    }
    const [namespaces, indexes, inherits, owned] = await Promise.all([
      all(CATALOG.namespace, namespaceRow),
      all(CATALOG.index, indexRow),
      all(CATALOG.inherits, inheritsRow),
      all(CATALOG.depend, ownedRow),
    ])
    return { oid, tablespace, relations, namespaces, parts: [...indexes, ...inherits, ...owned] }
  }

  async #shared(catalog: number): Promise<RelationPlace> {
    const fileNumber = (await this.#map(0))?.get(catalog)
    if (fileNumber === undefined)
      throw damaged({ key: this.#summary.backupId }, 'its map of shared relations is missing or not one')
    return { tablespace: GLOBAL_TABLESPACE, database: 0, fileNumber }
  }

  async #map(database: number): Promise<ReadonlyMap<number, number> | undefined> {
    const entry = this.#maps.get(database)
    return entry && parseFileMap(await this.#source().readFile(entry))
  }

  async #rows<R>(place: RelationPlace, decode: (row: DataView) => R | undefined): Promise<R[]> {
    return (await this.#versions(place)).flatMap(({ columns }) => decode(columns) ?? [])
  }

  async #versions(place: RelationPlace): Promise<HeapRow[]> {
    const rows: HeapRow[] = []
    for (const file of await this.#filesOf(place)) {
      throwIfAborted(this.#signal)
      const bytes = await this.#source().readFile(file)
      const firstBlock = (isRelationFile(file.path)?.segmentNumber ?? 0) * (GIB / this.#summary.blockSizeBytes)
      for (const row of heapRows(bytes, { ...this.#summary, firstBlock })) rows.push(row)
    }
    return rows
  }

  /** A catalog that was rewritten lies under another number, which is known only now. */
  async #filesOf(place: RelationPlace): Promise<readonly FileEntry[]> {
    const key = placeKey(place)
    const known = this.#files.get(key)
    if (known || USUAL_NUMBERS.has(place.fileNumber)) return known ?? []
    this.#files.set(key, [])
    for await (const entry of readEntries(this.#cluster, this.#summary.backupId)) {
      throwIfAborted(this.#signal)
      const own = entry.type === 'file' ? relationPlace(entry.path) : undefined
      if (entry.type === 'file' && own && placeKey(own) === key) this.#note(own, entry)
    }
    return this.#files.get(key) ?? []
  }

  #note(place: RelationPlace, entry: FileEntry): void {
    if (isRelationFile(entry.path)?.fork !== 'main') return
    const key = placeKey(place)
    this.#files.set(key, [...(this.#files.get(key) ?? []), entry])
  }

  /** All packs are known by then. */
  #source(): FrameSource {
    this.#frames ??= new FrameSource(this.#cluster, this.#packs)
    return this.#frames
  }
}
