import type { CopyValue } from './copy-in.ts'

/** The rows of one table, made one after the other while they are written. */
export interface GeneratedTable {
  readonly table: string
  readonly columns: readonly string[]
  rows(): Iterable<readonly CopyValue[]>
}
