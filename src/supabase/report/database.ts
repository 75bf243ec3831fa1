/** What the answers say about the database: whether it answers, and which critical tables are there. Pure. */

import { unknownTrace } from './backups.ts'
import type { DatabaseFact, TableFact } from './facts.ts'
import type { ConnectivityReport, TableReport, TablesReport, Trace } from './types.ts'

const REST = 'HEAD /rest/v1/{table}'
const SQL = 'POST /v1/projects/{ref}/database/query'

/** True only when something needed the database to answer and was answered; false only when somebody in front of it said that it is down. */
export function deriveConnectivity({ tables, sql }: DatabaseFact): ConnectivityReport {
  const answered = tables.find(({ rest }) => rest.database === 'answered')?.rest
  if (answered) {
    return { connected: true, latencyMs: answered.latencyMs ?? 'unknown', trace: { source: 'database', detail: REST } }
  }
  if (sql?.answered) {
    return { connected: true, latencyMs: sql.latencyMs, trace: { source: 'management-api', detail: SQL } }
  }
  const down = tables.find(({ rest }) => rest.database === 'down')?.rest
  if (down) {
    const trace: Trace = { source: 'database', detail: REST, ...(down.reason ? { reason: down.reason } : {}) }
    return { connected: false, latencyMs: 'unknown', trace }
  }
  const reason = tables[0]?.rest.reason ?? sql?.reason ?? 'No table was given to ask for.'
  return { connected: 'unknown', latencyMs: 'unknown', trace: unknownTrace(reason) }
}

export function deriveTables(fact: DatabaseFact, role: string): TablesReport {
  const tables = fact.tables.map((table) => viewTable(table, { role, sqlAnswered: fact.sql?.answered === true }))
  const namesOf = (state: TableReport['state']) =>
    tables.filter((table) => table.state === state).map(({ schema, name }) => `${schema}.${name}`)
  const missing = namesOf('missing')
  const unknown = namesOf('unknown')
  const valid = missing.length > 0 ? false : unknown.length > 0 ? 'unknown' : true
  const first = tables.find(({ state }) => state === 'unknown')
  const trace: Trace =
    tables.length > 0 && unknown.length === tables.length
      ? unknownTrace(first?.reason ?? 'The database could not be asked.')
      : { source: 'database', detail: fact.sql?.answered ? `${REST}, ${SQL}` : REST }
  return { valid, missing, unknown, tables, trace }
}

/** The catalog has the last word on what exists: REST only knows what it exposes. */
function viewTable(
  { table, rest, inCatalog }: TableFact,
  { role, sqlAnswered }: { readonly role: string; readonly sqlAnswered: boolean },
): TableReport {
  const state = rest.state !== 'present' && sqlAnswered ? (inCatalog ? 'present' : 'missing') : rest.state
  const isHidden = state === 'present' && rest.state === 'missing'
  const reason = isHidden ? `It exists, but the REST endpoint does not expose it (${rest.reason}).` : rest.reason
  return {
    schema: table.schema ?? 'public',
    name: table.name,
    tier: table.tier,
    state,
    rows: rest.rows ?? 'unknown',
    ...(rest.rows === undefined ? {} : { rowsAre: rest.rowsAre, rowsSeenBy: role }),
    ...(reason === undefined ? {} : { reason }),
  }
}
