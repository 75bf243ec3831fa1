import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable } from '../../recovery/tables/table-name.ts'
import { selectRows } from '../../recovery/tables/table-shape.ts'

/**
 * Tries a condition on every table, before anything is written. As a statement with a parameter: what is more than one statement, or no
 * condition, does not get through.
 * @throws RetakeError `config.invalid`
 */
export async function checkWhere(recovered: RecoveredTables, where: string | undefined): Promise<void> {
  if (where === undefined) return
  await using sql = await openSql(recovered.target)
  for (const table of recovered.tables) {
    try {
      const rows = selectRows(table, { columns: [{ name: 'ctid' }], where })
      await sql.query(`select from (${rows}) as r where $1 limit 0`, [false])
    } catch (error) {
      if (!isRetakeError(error, 'postgres.error')) throw error
      throw new RetakeError(
        'config.invalid',
        `--where is no condition on the rows of ${formatTable(table)}: ${error.message}`,
        { hint: `Write it as after WHERE in SQL, such as --where "created_at >= '2026-11-01'".`, cause: error },
      )
    }
  }
}
