/** How relation files are named: https://www.postgresql.org/docs/current/storage-file-layout.html */
import { DEFAULT_TABLESPACE, GLOBAL_TABLESPACE } from './catalog/catalog-rows.ts'

export interface RelationFile {
  /** Position of the file among those of its relation: its first block is this times the blocks of a segment. */
  readonly segmentNumber: number
  readonly fork: 'main' | 'fsm' | 'vm' | 'init'
}

/** Which relation a file belongs to. */
export interface RelationPlace {
  readonly tablespace: number
  /** 0 for what all databases share. */
  readonly database: number
  readonly fileNumber: number
}

const DIRECTORY = String.raw`(?:global|base/(\d+)|pg_tblspc/(\d+)/PG_\d+_\d+/(\d+))`
const RELATION_FILE = new RegExp(String.raw`^${DIRECTORY}/(\d+)(?:_(fsm|vm|init))?(?:\.([1-9]\d{0,5}))?$`)

/**
 * What a path (relative to PGDATA, tablespaces under `pg_tblspc/<oid>/`) means as a relation's file, whose bytes are pages;
 * undefined for everything else: temporary relations, `pg_filenode.map`, `PG_VERSION`, `pg_control`.
 */
export function isRelationFile(path: string): RelationFile | undefined {
  const match = RELATION_FILE.exec(path)
  if (!match) return undefined
  const [, , , , , fork, segment] = match
  return {
    segmentNumber: segment === undefined ? 0 : Number(segment),
    fork: fork === 'fsm' || fork === 'vm' || fork === 'init' ? fork : 'main',
  }
}

/** The relation of a file's path; undefined where {@link isRelationFile} is. Also for what `pg_relation_filepath()` says. */
export function relationPlace(path: string): RelationPlace | undefined {
  const match = RELATION_FILE.exec(path)
  if (!match) return undefined
  const [, base, tablespace, database, fileNumber] = match
  if (base !== undefined)
    return { tablespace: DEFAULT_TABLESPACE, database: Number(base), fileNumber: Number(fileNumber) }
  if (tablespace === undefined) return { tablespace: GLOBAL_TABLESPACE, database: 0, fileNumber: Number(fileNumber) }
  return { tablespace: Number(tablespace), database: Number(database), fileNumber: Number(fileNumber) }
}

/** As a key: equal places have equal text. */
export function placeKey({ tablespace, database, fileNumber }: RelationPlace): string {
  return `${tablespace}/${database}/${fileNumber}`
}
