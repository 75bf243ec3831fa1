/**
 * What a database holds, in a few numbers per table that do not depend on the order of rows, their place in files or the server's
 * settings. Two servers with equal digests hold equal rows (two independent 64-bit hashes of every row's text are summed).
 */

/** The part of a connection that a digest needs. */
export interface Queryable {
  query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>
}

export interface TableDigest {
  readonly rows: number
  /** Two sums of hashes, in decimal. */
  readonly hash: string
}

export interface SequenceState {
  readonly lastValue: bigint
  readonly increment: bigint
}

export interface DatabaseDigest {
  /** By `schema.table`, names quoted where SQL wants it. */
  readonly tables: Readonly<Record<string, TableDigest>>
  readonly sequences: Readonly<Record<string, SequenceState>>
}

export interface DigestDifference {
  readonly object: string
  readonly problem: string
}

/** PostgreSQL logs a sequence's value 32 steps ahead, so after any recovery it may have jumped that far; never back. */
const SEQUENCE_LOG_AHEAD = 32n
/**
 * Steps that transactions may have taken that were under way at the target. Sequences are not transactional: a step counts as
 * soon as it is logged, and replay goes on to the end of the last transaction before the target, past what others log meanwhile.
 */
export const STEPS_UNDER_WAY = 64n

/** Settings under which the text of a value is the same on every server. */
const TEXT_SETTINGS = `
set local time zone 'UTC';
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex';
set local lc_monetary = 'C';
set local xmlbinary = 'base64';
set local search_path = '';
set local row_security = off;
set local statement_timeout = 0;`

const LIST_TABLES = `
select format('%I.%I', n.nspname, c.relname) as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_(toast_)?temp_'
order by 1`

const LIST_SEQUENCES = `
select format('%I.%I', schemaname, sequencename) as name, coalesce(last_value, start_value - increment_by)::text as "lastValue",
  increment_by::text as increment
from pg_sequences where schemaname !~ '^pg_temp_' order by 1`

/**
 * Digests all ordinary tables and materialised views of the connected database, except unlogged and temporary ones, in one snapshot.
 * @param options.inTransaction the caller has begun a transaction and wants its view of the data; otherwise a read-only one is made
 */
export async function digestDatabase(
  sql: Queryable,
  options: { readonly inTransaction?: boolean; readonly snapshot?: string | undefined } = {},
): Promise<DatabaseDigest> {
  if (options.inTransaction) {
    // The settings must not outlive the digest in the caller's transaction.
    await sql.query('savepoint digest')
    const digest = await readDigest(sql)
    await sql.query('rollback to savepoint digest')
    return digest
  }
  await sql.query('begin transaction isolation level repeatable read, read only')
  try {
    if (options.snapshot !== undefined)
      await sql.query(`set transaction snapshot '${options.snapshot.replaceAll("'", "''")}'`)
    return await readDigest(sql)
  } finally {
    await sql.query('rollback')
  }
}

async function readDigest(sql: Queryable): Promise<DatabaseDigest> {
  for (const setting of TEXT_SETTINGS.trim().split('\n')) await sql.query(setting)
  const tables: Record<string, TableDigest> = {}
  for (const { name } of await sql.query<{ name: string }>(LIST_TABLES))
    tables[name] = await digestRows(sql, name, '__row::text')
  const [objects] = await sql.query<{ readable: boolean }>(
    `select has_table_privilege('pg_catalog.pg_largeobject', 'select') as readable`,
  )
  if (objects?.readable) {
    tables['large objects'] = await digestRows(
      sql,
      'pg_catalog.pg_largeobject',
      `loid || ':' || pageno || ':' || encode(data, 'hex')`,
    )
  }
  const sequences: Record<string, SequenceState> = {}
  for (const row of await sql.query<{ name: string; lastValue: string; increment: string }>(LIST_SEQUENCES)) {
    sequences[row.name] = { lastValue: BigInt(row.lastValue), increment: BigInt(row.increment) }
  }
  return { tables, sequences }
}

async function digestRows(sql: Queryable, table: string, text: string): Promise<TableDigest> {
  const [row] = await sql.query<{ rows: string; a: string | null; b: string | null }>(
    `select count(*)::text as rows, sum(hashtextextended(${text} collate "C", 0))::text as a,
       sum(hashtextextended(${text} collate "C", 7))::text as b from ${table} as __row`,
  )
  return { rows: Number(row?.rows), hash: `${row?.a ?? 0}/${row?.b ?? 0}` }
}

/**
 * What differs; empty when the contents are equal. A sequence may stand up to 32 values (times its increment) further on.
 * @param options `stepsUnderWay`: how many more, because others were at work at the target; default none
 */
export function compareDigests(
  expected: DatabaseDigest,
  actual: DatabaseDigest,
  options: { readonly stepsUnderWay?: bigint } = {},
): DigestDifference[] {
  const allowedSteps = SEQUENCE_LOG_AHEAD + (options.stepsUnderWay ?? 0n)
  const differences: DigestDifference[] = []
  for (const name of union(expected.tables, actual.tables)) {
    const problem = compareTables(expected.tables[name], actual.tables[name])
    if (problem !== undefined) differences.push({ object: name, problem })
  }
  for (const name of union(expected.sequences, actual.sequences)) {
    const problem = compareSequences(expected.sequences[name], actual.sequences[name], allowedSteps)
    if (problem !== undefined) differences.push({ object: name, problem })
  }
  return differences
}

function compareTables(expected: TableDigest | undefined, actual: TableDigest | undefined): string | undefined {
  if (expected === undefined) return 'should not exist'
  if (actual === undefined) return 'is missing'
  if (expected.rows !== actual.rows) return `has ${actual.rows} rows instead of ${expected.rows}`
  return expected.hash === actual.hash ? undefined : `has ${actual.rows} rows as expected, but not the same content`
}

function compareSequences(
  expected: SequenceState | undefined,
  actual: SequenceState | undefined,
  allowedSteps: bigint,
): string | undefined {
  if (expected === undefined) return 'should not exist'
  if (actual === undefined) return 'is missing'
  const steps = (actual.lastValue - expected.lastValue) / expected.increment
  if (steps >= 0n && steps <= allowedSteps) return undefined
  return `stands at ${actual.lastValue} instead of ${expected.lastValue} (or up to ${allowedSteps} steps further)`
}

function union(a: object, b: object): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
}
