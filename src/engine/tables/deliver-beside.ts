/** Puts recovered tables into the living database, under new names, all in one transaction. What is there is not touched. */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { parseInstant } from '../../base/instant.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import type { RestorePlan } from '../../recovery/plan-types.ts'
import type { FoundTable } from '../../recovery/tables/check-files.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable, quoteName, quoteTable, type TableName } from '../../recovery/tables/table-name.ts'
import { columnList, readShape, selectRows, type TableShape } from '../../recovery/tables/table-shape.ts'
import { restoredName } from './restored-name.ts'
import { beginForText } from './text-settings.ts'

export interface DeliveredTable {
  /** As it was asked for: `schema.table`. */
  readonly table: string
  readonly rows: number
  /** The new table. */
  readonly into?: string | undefined
  /** The file. */
  readonly file?: string | undefined
}

const MOST_NAMES = 100

/** @throws RetakeError `postgres.error` when the living database lacks a schema or type; `restore.mismatch`; nothing is left of it then */
export async function deliverBeside(
  recovered: RecoveredTables,
  options: {
    readonly live: ConnectionTarget
    readonly where?: string | undefined
    readonly signal: AbortSignal
  },
): Promise<DeliveredTable[]> {
  const { live, where, signal } = options
  await using from = await CopySession.open(recovered.target, { signal })
  await using to = await CopySession.open(live, { applicationName: 'retake restore table', signal })
  await beginForText(from, 'read only')
  await beginForText(to, 'read write')
  await to.query(`set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0`)
  const delivered: DeliveredTable[] = []
  for (const table of recovered.tables) {
    const shape = await readShape(from, table)
    const into = await freeName(to, table, momentOf(recovered.plan))
    try {
      await createTable(to, { into, shape, plan: recovered.plan, table })
    } catch (error) {
      throw withoutPlace(error, table)
    }
    const rows = await copyRows(from, to, { table, shape, into, where })
    await finishTable(to, { into, shape })
    delivered.push({ table: formatTable(table), rows, into: formatTable(into) })
  }
  await to.query('commit')
  return delivered
}

/** Of a target that is no instant, when the last transaction ended that is in it. */
function momentOf({ target, stop, backup }: RestorePlan): Date {
  const isInstant = /^\d{4}-/.test(target.asked)
  const instant = isInstant ? target.asked : (stop.lastTransaction?.at ?? backup.stoppedAt)
  return new Date(Number(parseInstant(instant) / 1000n))
}

async function freeName(to: CopySession, { schema, table }: TableName, at: Date): Promise<TableName> {
  for (let nth = 1; nth <= MOST_NAMES; nth += 1) {
    const name = { schema, table: restoredName(table, at, nth) }
    const [row] = await to.query(`select pg_catalog.to_regclass(${literal(quoteTable(name))}) is null as free`)
    if (row?.free === 't') return name
  }
  throw new RetakeError('restore.refused', `There are ${MOST_NAMES} tables of that name already.`, {
    hint: `Drop those that nobody needs: ${formatTable({ schema, table: restoredName(table, at) })} and the following.`,
  })
}

/**
 * A plain table, also for a partitioned one, with computed columns as ordinary ones: its rows as they were, and nothing that would change
 * or refuse them.
 */
async function createTable(
  to: CopySession,
  made: {
    readonly into: TableName
    readonly shape: TableShape
    readonly plan: RestorePlan
    readonly table: FoundTable
  },
): Promise<void> {
  const { into, shape, plan, table } = made
  const columns = shape.columns.map(({ name, type, collation, notNull }) =>
    [quoteName(name), type, collation === undefined ? '' : `collate ${collation}`, notNull ? 'not null' : ''].join(' '),
  )
  await to.query(`create table ${quoteTable(into)} (${columns.join(', ')})`)
  const comment = `${formatTable(table)} as it was at ${plan.target.asked}, out of backup ${plan.backup.backupId} (Retake)`
  await to.query(`comment on table ${quoteTable(into)} is ${literal(comment)}`)
  // Default privileges may open new tables to everybody (Supabase's do); the rows were not for everybody in the table they come from.
  await to.query(`alter table ${quoteTable(into)} enable row level security`)
  const grantees = await to.query(`
    select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as name
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    where c.oid = ${literal(quoteTable(into))}::pg_catalog.regclass and a.grantee <> c.relowner`)
  for (const { name } of grantees) await to.query(`revoke all on ${quoteTable(into)} from ${name}`)
}

async function copyRows(
  from: CopySession,
  to: CopySession,
  what: {
    readonly table: FoundTable
    readonly shape: TableShape
    readonly into: TableName
    readonly where: string | undefined
  },
): Promise<number> {
  const { table, shape, into, where } = what
  const { columns } = shape
  const rows = from.copyOut(`copy (${selectRows(table, { columns, where })}) to stdout`)
  const written = await to.copyIn(`copy ${quoteTable(into)} (${columnList(columns)}) from stdin`, rows.pieces)
  if (written === rows.rows()) return written
  throw new RetakeError(
    'restore.mismatch',
    `${rows.rows()} rows of ${formatTable(table)} were sent and ${written} arrived; nothing was kept.`,
    { hint: 'A rule or trigger of the database may change what is written; use --out DIR.' },
  )
}

async function finishTable(
  to: CopySession,
  { into, shape }: { readonly into: TableName; readonly shape: TableShape },
): Promise<void> {
  const { primaryKey } = shape
  if (primaryKey === undefined) return
  await to.query(`alter table ${quoteTable(into)} add primary key (${primaryKey.map(quoteName).join(', ')})`)
}

export function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

function withoutPlace(error: unknown, table: TableName): unknown {
  if (!isRetakeError(error, 'postgres.error')) return error
  return new RetakeError(
    'postgres.error',
    `The living database cannot take ${formatTable(table)} as it was: ${error.message} Nothing was changed there.`,
    {
      hint: 'A schema or type that the table needs is not there any more. Make it again, or write the rows to files: --out DIR.',
      details: error.details,
      cause: error,
    },
  )
}
