/**
 * Which relations of a backup a recovery of single tables needs. Pure. The catalog that it decides by was copied while the server worked:
 * every row version in it counts, because a file too many does no harm. What it gets wrong nevertheless (a table was renamed, a page
 * was torn) is found when replay has made the catalogs whole, and not before: see `check-files.ts`.
 */
import {
  DEFAULT_TABLESPACE,
  FIRST_USER_OID,
  type PartRow,
  type RelationRow,
} from '../../postgres/catalog/catalog-rows.ts'
import { placeKey, type RelationPlace, relationPlace } from '../../postgres/relation-path.ts'
import type { TableName } from './table-name.ts'

/** What the catalogs of one database name, in every version of every row. */
export interface DatabaseCatalog {
  readonly oid: number
  readonly tablespace: number
  readonly relations: readonly RelationRow[]
  readonly namespaces: readonly { readonly oid: number; readonly name: string }[]
  /** Indexes, partitions, owned sequences. */
  readonly parts: readonly PartRow[]
}

export interface RelationChoice {
  /** Of relations that belong to users, by {@link placeKey}: the others are laid out whatever they are. */
  readonly ofUsers: ReadonlySet<string>
  /** The wanted tables with their TOAST tables, indexes, partitions and sequences. */
  readonly kept: ReadonlySet<string>
  /** Tables that the backup does not know by this name: they come out of the WAL, or were renamed. */
  readonly unknown: readonly TableName[]
}

/** Tables, partitioned tables, materialised views. */
const KINDS: ReadonlySet<string> = new Set(['r', 'p', 'm'])

export function chooseRelations(catalog: DatabaseCatalog, tables: readonly TableName[]): RelationChoice {
  const wanted = new Set<number>()
  const unknown: TableName[] = []
  for (const table of tables) {
    const oids = oidsOf(catalog, table)
    if (oids.length === 0) unknown.push(table)
    for (const oid of oids) wanted.add(oid)
  }
  addParts(catalog, wanted)
  const kept = new Set<string>()
  const ofUsers = new Set<string>()
  for (const relation of catalog.relations) {
    if (relation.fileNumber === 0) continue
    const key = placeKey(placeOf(relation, catalog))
    if (relation.oid >= FIRST_USER_OID) ofUsers.add(key)
    if (wanted.has(relation.oid)) kept.add(key)
  }
  // A catalog that was rewritten has a file number like that of anybody; an old version of a row may name the same for both.
  for (const relation of catalog.relations) {
    if (relation.oid < FIRST_USER_OID) ofUsers.delete(placeKey(placeOf(relation, catalog)))
  }
  return { ofUsers, kept, unknown }
}

/** A way in, when the wanted database is not found by its name: then all of its files are laid out. */
export const TEMPLATE_DATABASE = 1

/**
 * Whether a file of the backup is left out. Only pages of relations are: of the wanted database those of other tables, of other
 * databases all. What an unlogged table is made anew from is kept, it is small.
 */
export function isLeftOutFile(
  path: string,
  wanted: {
    /** Undefined: the backup has no database of that name. */
    readonly database: number | undefined
    readonly choice: Pick<RelationChoice, 'ofUsers' | 'kept'>
    readonly also: ReadonlySet<string>
    /** Whether {@link TEMPLATE_DATABASE} is needed. */
    readonly needsTemplate: boolean
  },
): boolean {
  const place = relationPlace(path)
  if (!place || place.database === 0 || path.includes('_init')) return false
  if (place.database === TEMPLATE_DATABASE && wanted.needsTemplate) return false
  const key = placeKey(place)
  if (wanted.also.has(key)) return false
  if (place.database !== wanted.database) return true
  return wanted.choice.ofUsers.has(key) && !wanted.choice.kept.has(key)
}

function oidsOf(catalog: DatabaseCatalog, table: TableName): number[] {
  const namespaces = new Set(catalog.namespaces.filter(({ name }) => name === table.schema).map(({ oid }) => oid))
  return catalog.relations
    .filter(({ name, namespace, kind }) => name === table.table && namespaces.has(namespace) && KINDS.has(kind))
    .map(({ oid }) => oid)
}

/** Adds what belongs to the wanted relations, and what belongs to that: the index of a TOAST table of a partition. */
function addParts(catalog: DatabaseCatalog, wanted: Set<number>): void {
  const partsOf = new Map<number, number[]>()
  const note = ({ part, whole }: PartRow) => {
    const known = partsOf.get(whole)
    if (known) known.push(part)
    else partsOf.set(whole, [part])
  }
  for (const row of catalog.parts) note(row)
  for (const { oid, toastOid } of catalog.relations) if (toastOid !== 0) note({ part: toastOid, whole: oid })
  // A set hands out what is added while it is walked.
  for (const oid of wanted) for (const part of partsOf.get(oid) ?? []) wanted.add(part)
}

function placeOf(relation: RelationRow, catalog: DatabaseCatalog): RelationPlace {
  const tablespace = relation.tablespace === 0 ? catalog.tablespace : relation.tablespace
  return { tablespace: tablespace || DEFAULT_TABLESPACE, database: catalog.oid, fileNumber: relation.fileNumber }
}
