/** `retake open`: a server as it was, for psql or for one query. */
import { sleep } from '../../base/abort.ts'
import { type OpenedServer, openServer } from '../../engine/tables/open-server.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderTable } from '../format.ts'
import { optionInteger, optionText } from '../options.ts'
import { tablesAt } from '../table-options.ts'

const DEFAULT_MINUTES = 60
const DAY_MINUTES = 1440
const MINUTE_MS = 60_000

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  const minutes = optionInteger(options.minutes, { name: '--minutes', min: 1, max: DAY_MINUTES }) ?? DEFAULT_MINUTES
  await using retake = await context.open()
  const until = new Date(Date.now() + minutes * MINUTE_MS)
  await using server = await openServer(retake, {
    ...tablesAt(context),
    until,
    signal,
    onProgress: terminal.onProgress,
  }).result
  const statements = optionText(options.command)
  if (statements !== undefined) {
    const rows = await server.query(statements, { signal })
    return { data: { ...server.facts, rows }, text: renderRows(rows) }
  }
  terminal.note(invite(server, until))
  await sleep(until.getTime() - Date.now(), signal).catch(() => {})
  return { data: { ...server.facts, connection: server.connection }, text: 'The server was removed.' }
}

function invite({ facts, connection }: OpenedServer, until: Date): string {
  const { host, port, user, database } = connection
  const { target, reached, fetchedBytes, warnings } = facts
  const last =
    reached?.xid === undefined ? '' : `, transaction ${reached.xid}${reached.at ? ` of ${reached.at}` : ''} its last`
  return [
    `A server as of ${target}${last} (${formatBytes(fetchedBytes)} fetched):`,
    `  psql "host=${host} port=${port} user=${user} dbname=${database}"`,
    `It is removed with Ctrl-C, or at ${until.toISOString()}. What is written to it goes with it.`,
    ...warnings.map((warning) => `Note: ${warning}`),
  ].join('\n')
}

function renderRows(rows: readonly Readonly<Record<string, string | null>>[]): string {
  const names = Object.keys(rows[0] ?? {})
  if (names.length === 0) return `${rows.length} rows`
  return renderTable(
    rows,
    names.map((name) => ({ title: name, value: (row) => row[name] ?? '' })),
  )
}
