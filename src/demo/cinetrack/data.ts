/**
 * CineTrack's data, table by table in an order that respects references. Nothing is remembered between rows: ids are functions of
 * (seed, table, number), so a data set of any size is written with the memory of one row.
 */

import { catalogueTables } from './data-catalogue.ts'
import { memberTables } from './data-members.ts'
import { socialTables } from './data-social.ts'
import { makeWorld } from './data-world.ts'
import type { GeneratedTable } from './generated-table.ts'

export interface DataOptions {
  /** Default 1. */
  readonly seed?: number | undefined
  /** 1 (the default) makes about 100,000 rows, some 45 MB on disk; 25 about a gigabyte. */
  readonly scale?: number | undefined
}

export function cineTrackData(options: DataOptions = {}): GeneratedTable[] {
  const world = makeWorld(options.seed ?? 1, options.scale ?? 1)
  return [...memberTables(world), ...catalogueTables(world), ...socialTables(world)]
}
