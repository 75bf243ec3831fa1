/** Rows of some tables as they were at a moment, out of a server that is thrown away. */
import { parseTableName, quoteTable } from '../recovery/tables/table-name.ts'
import type { Retake } from './open.ts'
import type { OperationContext } from './operation.ts'
import { openServer } from './tables/open-server.ts'
import type { TablesAtOptions } from './tables/open-tables.ts'

export interface TableSample {
  readonly table: string
  /** How many rows it had. */
  readonly rows: number
  /** Some of them, as JSON has them. */
  readonly some: readonly Readonly<Record<string, unknown>>[]
}

const ROWS_OF_SAMPLE = 5

/** @throws RetakeError as `openServer` */
export async function sampleTables(
  retake: Retake,
  options: TablesAtOptions & Partial<OperationContext>,
): Promise<TableSample[]> {
  await using server = await openServer(retake, options).result
  const samples: TableSample[] = []
  for (const table of options.tables) {
    const name = quoteTable(parseTableName(table))
    const [count] = await server.query(`select count(*) as rows from ${name}`, { signal: options.signal })
    const rows = await server.query(`select to_json(t) as row from ${name} t limit ${ROWS_OF_SAMPLE}`, {
      signal: options.signal,
    })
    samples.push({
      table,
      rows: Number(count?.rows ?? 0),
      some: rows.map(({ row }) => JSON.parse(row ?? '{}') as Record<string, unknown>),
    })
  }
  return samples
}
