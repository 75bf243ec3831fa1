import type { CopySession } from '../../postgres/replication/copy-session.ts'

/** Settings under which the text of a value means the same on every server. */
const TEXT_SETTINGS = [
  `set local time zone 'UTC'`,
  `set local datestyle = 'ISO, YMD'`,
  `set local intervalstyle = 'postgres'`,
  'set local extra_float_digits = 1',
  `set local bytea_output = 'hex'`,
  `set local lc_monetary = 'C'`,
  `set local search_path = 'pg_catalog'`,
  'set local row_security = off',
].join('; ')

/** Begins a transaction in which values are written and read as text that loses nothing, and rows are hidden from nobody without an error. */
export async function beginForText(session: CopySession, mode: 'read only' | 'read write'): Promise<void> {
  await session.query(`begin transaction isolation level repeatable read, ${mode}; ${TEXT_SETTINGS}`)
}
