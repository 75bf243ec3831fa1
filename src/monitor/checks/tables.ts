/**
 * Whether the tables are there without which the application does not work. Rows are the server's own estimates, from its catalog: no
 * table is read, no lock is waited for, and the role needs no privilege on them.
 */
import type { CriticalTable } from '../../engine/config-options.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { CINETRACK_TABLES_AT_LEAST, cineTrackCriticalTables } from './cinetrack-tables.ts'
import { followLosses, type Loss } from './losses.ts'
import type { Measurements, ObservedTable } from './measurements.ts'
import type { Observation, RememberedTable } from './observation.ts'
import { failed, type Outcome, passed, skipped } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

export const criticalTables: HealthCheck<'critical-tables'> = {
  name: 'critical-tables',
  title: 'Critical tables exist',
  run: async (sources) => {
    const configured = sources.settings.config.criticalTables
    const { sql } = await sources.link()
    const { database } = await sources.moment()
    const tables = await observeTables(sql, configured ?? cineTrackCriticalTables)
    const seenAt = sources.settings.clock.now().toISOString()
    const { earlier } = sources
    return judgeTables({ database, tables, isConfigured: configured !== undefined, earlier, seenAt })
  },
}

export interface TableFacts {
  readonly database: string
  readonly tables: readonly ObservedTable[]
  readonly isConfigured: boolean
  readonly earlier?: Earlier | undefined
  /** Our clock, ISO 8601 UTC. */
  readonly seenAt: string
}

type Earlier = Pick<Observation, 'at' | 'database' | 'tables'>

type Measured = Measurements['critical-tables']

/** Fewer rows than this come and go. */
const FEW_ROWS = 20
/** Of what vanished at once so much must be back. */
const MOST = 0.75

const hasShrunk = (before: number, rows: number): boolean => before >= FEW_ROWS && rows < before / 2
const isBack = (before: number, rows: number): boolean => rows >= before * MOST

export function judgeTables({ database, tables, isConfigured, earlier, seenAt }: TableFacts): Outcome<Measured> {
  const before = earlier?.database === database ? earlier : undefined
  const expectedBy = whoExpects({ tables, isConfigured, before })
  const observed = tables.map((table) => withHistory(table, { before, seenAt }))
  const missing = observed.filter(({ exists }) => !exists).map(({ table, tier }) => ({ table, tier }))
  const shrunk = observed.filter(({ exists, losses }) => exists && losses !== undefined)
  const measured: Measured = { database, expectedBy, tables: observed, missing, shrunk: shrunk.map(nameOf) }
  if (expectedBy === 'nobody') {
    const fix = 'name them: criticalTables in retake.config.yaml, or RETAKE_CRITICAL_TABLES="public.users=high …"'
    return skipped(`No critical tables are configured, and "${database}" has not those of CineTrack.`, {
      fix,
      measured: { ...measured, tables: [], missing: [], shrunk: [] },
    })
  }
  if (tables.length === 0) return skipped('The configuration says that no table is critical.', { measured })
  const wasSeen = before && missing.every(({ table }) => before.tables.some((one) => one.table === table && one.exists))
  const fix = wasSeen
    ? restoreFix(before.at, 'when it was last seen')
    : restoreFix('INSTANT', 'INSTANT: just before the loss, with its offset')
  if (missing.length > 0) {
    const names = missing.map(({ table, tier }) => `${table} (${tier})`).join(', ')
    const isGrave = missing.some(({ tier }) => tier !== 'low')
    return failed(`Missing in the database "${database}": ${names}.`, {
      severity: isGrave ? 'danger' : 'warning',
      fix,
      measured,
    })
  }
  const [first] = shrunk
  if (first) {
    return failed(shrunk.map(lossInWords).join(' '), { severity: 'warning', fix: lossFix(first), measured })
  }
  return passed(`All ${tables.length} critical tables are in the database "${database}".`, measured)
}

function whoExpects(facts: {
  readonly tables: readonly ObservedTable[]
  readonly isConfigured: boolean
  readonly before: Pick<Observation, 'tables'> | undefined
}): Measured['expectedBy'] {
  if (facts.isConfigured) return 'configuration'
  const there = facts.tables.filter(({ exists }) => exists).length
  if (there >= CINETRACK_TABLES_AT_LEAST) return 'cinetrack'
  const names = new Set(facts.tables.map(({ table }) => table))
  // Tables are observed only where they are expected, and are from then on.
  const seen = facts.before?.tables.filter(({ table }) => names.has(table)).length ?? 0
  return seen >= CINETRACK_TABLES_AT_LEAST ? 'observed' : 'nobody'
}

interface History {
  readonly before: Earlier | undefined
  readonly seenAt: string
}

/** With what is remembered of it: a table that is missing, or whose rows nobody knows, has lost what it had lost. */
function withHistory(table: ObservedTable, { before, seenAt }: History): ObservedTable {
  const known = before?.tables.find((one) => one.table === table.table)
  if (!before || !known) return table
  const { rows } = table
  if (rows === undefined) return withLosses(table, known.losses ?? [])
  const last = known.rows === undefined ? undefined : { value: known.rows, at: known.rowsAt ?? before.at }
  const losses = followLosses(known.losses ?? [], { value: rows, before: last, seenAt, hasFallen: hasShrunk, isBack })
  return withLosses(last ? { ...table, grownRows: rows - last.value } : table, losses)
}

const withLosses = (table: ObservedTable, losses: readonly Loss[]): ObservedTable =>
  losses.length > 0 ? { ...table, losses } : table

/** What the next look is told of these tables. */
export function rememberTables(
  tables: readonly ObservedTable[],
  { at, earlier }: { readonly at: string; readonly earlier: readonly RememberedTable[] },
): RememberedTable[] {
  return tables.map(({ table, exists, rows, losses }) => {
    const known = earlier.find((one) => one.table === table)
    const last = rows === undefined ? known : { rows, rowsAt: at }
    return {
      table,
      exists,
      ...(last?.rows === undefined ? {} : { rows: last.rows }),
      ...(last?.rowsAt === undefined ? {} : { rowsAt: last.rowsAt }),
      ...(losses ? { losses: [...losses] } : {}),
    }
  })
}

/** Of a table that has shrunk: what it was, and what is left. */
export function lossInWords({ table, rows, losses = [] }: ObservedTable): string {
  const lost = losses.map(({ before, at }) => `${before} at ${at}`).join(', ')
  return `The table ${table} has ${rows ?? 'nobody knows how many'} rows and had ${lost}.`
}

/** To the moment before the newest loss. */
export function lossFix({ losses = [] }: ObservedTable): string {
  return restoreFix(losses.at(-1)?.at ?? 'INSTANT', 'before the rows vanished')
}

function restoreFix(at: string, note: string): string {
  return `retake restore plan --at ${at} --to ./before-the-loss   # ${note}; then copy the table back`
}

const nameOf = ({ table }: ObservedTable): string => table

interface TableRow {
  readonly table: string
  readonly exists: boolean
  readonly bytes: string | null
  readonly analyzedRows: string | null
  readonly liveRows: string
  readonly changedRows: string
  readonly wasCounted: boolean
}

// The live counter is exact after a vacuum or analyze and follows every change; a crash loses it, and then the catalog's count of the
// last analyze is what is left, with the changes since.
const QUERY = `
  select w.name as "table", c.oid is not null as "exists",
         (c.relpages::int8 * current_setting('block_size')::int8)::text as "bytes",
         case when c.reltuples >= 0 then c.reltuples::int8::text end as "analyzedRows",
         coalesce(pg_stat_get_live_tuples(c.oid), 0)::text as "liveRows",
         (coalesce(pg_stat_get_tuples_inserted(c.oid), 0) - coalesce(pg_stat_get_tuples_deleted(c.oid), 0))::text as "changedRows",
         coalesce(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid),
                  pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) is not null as "wasCounted"
    from unnest($1::text[], $2::text[], $3::text[]) as w(name, nspname, relname)
    left join pg_namespace n on n.nspname = w.nspname
    left join pg_class c on c.relnamespace = n.oid and c.relname = w.relname and c.relkind in ('r', 'p', 'f', 'm', 'v')`

async function observeTables(sql: SqlConnection, wanted: readonly CriticalTable[]): Promise<ObservedTable[]> {
  const parts = wanted.map(({ table }) => ({ table, at: table.indexOf('.') }))
  const rows = await sql.query<TableRow>(QUERY, [
    parts.map(({ table }) => table),
    parts.map(({ table, at }) => table.slice(0, at)),
    parts.map(({ table, at }) => table.slice(at + 1)),
  ])
  return wanted.map((one) => {
    const row = rows.find(({ table }) => table === one.table)
    if (!row?.exists) return { ...one, exists: false }
    const estimate = estimateRows(row)
    return {
      ...one,
      exists: true,
      ...(estimate === undefined ? {} : { rows: estimate }),
      ...(row.bytes === null ? {} : { bytes: Number(row.bytes) }),
    }
  })
}

function estimateRows({ analyzedRows, liveRows, changedRows, wasCounted }: TableRow): number | undefined {
  if (wasCounted) return Number(liveRows)
  if (analyzedRows !== null) return Math.max(0, Number(analyzedRows) + Number(changedRows))
  // Never counted: what was inserted since the counters began is all that is known.
  return Number(liveRows) > 0 ? Number(liveRows) : undefined
}
