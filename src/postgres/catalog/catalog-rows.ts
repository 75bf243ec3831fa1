/**
 * The columns of system catalogs by which a table's files are found, out of their rows as they lie in files. All of them are of fixed
 * width, never NULL, and stand before the first column that is not: their places depend on the major version only.
 * https://www.postgresql.org/docs/current/catalogs.html
 */

const LITTLE_ENDIAN = true
const NAME_BYTES = 64

/** Oids of catalogs, the same in every cluster. */
export const CATALOG = {
  relation: 1259,
  authorization: 1260,
  database: 1262,
  depend: 2608,
  index: 2610,
  inherits: 2611,
  namespace: 2615,
} as const

/** Everything below belongs to the system itself. */
export const FIRST_USER_OID = 16_384
/** `pg_default` and `pg_global`: the tablespaces in the data directory itself. */
export const DEFAULT_TABLESPACE = 1663
export const GLOBAL_TABLESPACE = 1664

export interface RelationRow {
  readonly oid: number
  readonly name: string
  readonly namespace: number
  /** 0 for those that have no file, and for those whose file only `pg_filenode.map` names. */
  readonly fileNumber: number
  /** 0: that of the database. */
  readonly tablespace: number
  /** An estimate, by the last VACUUM or ANALYZE; below 0 when there was none. */
  readonly rows: number
  readonly toastOid: number
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string
  /** https://www.postgresql.org/docs/current/catalog-pg-class.html */
  readonly kind: string
}

/** Undefined when the row is too short to be one. */
export function relationRow(row: DataView, major: number): RelationRow | undefined {
  // relallfrozen, new in 18, stands before these.
  const more = major >= 18 ? 4 : 0
  if (row.byteLength < 116 + more) return undefined
  return {
    oid: u32(row, 0),
    name: name(row, 4),
    namespace: u32(row, 68),
    fileNumber: u32(row, 88),
    tablespace: u32(row, 92),
    rows: row.getFloat32(100, LITTLE_ENDIAN),
    toastOid: u32(row, 108 + more),
    persistence: char(row, 114 + more),
    kind: char(row, 115 + more),
  }
}

export interface NamedRow {
  readonly oid: number
  readonly name: string
}

export function namespaceRow(row: DataView): NamedRow | undefined {
  return row.byteLength < 68 ? undefined : { oid: u32(row, 0), name: name(row, 4) }
}

export interface DatabaseRow extends NamedRow {
  readonly tablespace: number
}

export function databaseRow(row: DataView): DatabaseRow | undefined {
  return row.byteLength < 96 ? undefined : { oid: u32(row, 0), name: name(row, 4), tablespace: u32(row, 92) }
}

/** A role that is a superuser and may log in; undefined for every other. */
export function superuserRow(row: DataView): NamedRow | undefined {
  if (row.byteLength < 76) return undefined
  const isSuper = row.getUint8(68) === 1
  const mayLogIn = row.getUint8(72) === 1
  return isSuper && mayLogIn ? { oid: u32(row, 0), name: name(row, 4) } : undefined
}

/** `part` belongs to `whole`: an index to its table, a partition to its parent, a sequence to the table whose column it fills. */
export interface PartRow {
  readonly part: number
  readonly whole: number
}

export function indexRow(row: DataView): PartRow | undefined {
  return row.byteLength < 8 ? undefined : { part: u32(row, 0), whole: u32(row, 4) }
}

export function inheritsRow(row: DataView): PartRow | undefined {
  return row.byteLength < 8 ? undefined : { part: u32(row, 0), whole: u32(row, 4) }
}

/** Of `pg_depend`, what is owned by a table: `serial` is an automatic dependence, `identity` an internal one. */
export function ownedRow(row: DataView): PartRow | undefined {
  if (row.byteLength < 25) return undefined
  const isRelation = u32(row, 0) === CATALOG.relation && u32(row, 12) === CATALOG.relation
  if (!isRelation || !['a', 'i'].includes(char(row, 24))) return undefined
  return { part: u32(row, 4), whole: u32(row, 16) }
}

/**
 * `pg_filenode.map` (src/backend/utils/cache/relmapper.c): the files of the relations that must be found before `pg_class` can be read.
 * @returns file numbers by oid; undefined when it is no such map
 */
export function parseFileMap(bytes: Uint8Array): ReadonlyMap<number, number> | undefined {
  const MAGIC = 0x592717
  if (bytes.length < 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const count = u32(view, 4)
  if (u32(view, 0) !== MAGIC || 8 + count * 8 > bytes.length) return undefined
  return new Map(Array.from({ length: count }, (_, i) => [u32(view, 8 + i * 8), u32(view, 12 + i * 8)]))
}

function u32(row: DataView, at: number): number {
  return row.getUint32(at, LITTLE_ENDIAN)
}

function char(row: DataView, at: number): string {
  return String.fromCharCode(row.getUint8(at))
}

function name(row: DataView, at: number): string {
  const bytes = Buffer.from(row.buffer, row.byteOffset + at, NAME_BYTES)
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? NAME_BYTES : end)
}
