import { RetakeError } from '../../base/errors.ts'
import { type FindReport, findIncidents, type IncidentView, incidentKinds } from '../../engine/find.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes } from '../format.ts'
import { optionInteger, optionText } from '../options.ts'
import type { Terminal } from '../terminal.ts'

const DEFAULT_LIMIT = 20

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  const kind = readKind(optionText(options.kind))
  const limit = optionInteger(options.limit, { name: '--limit', min: 1, max: 10_000 }) ?? DEFAULT_LIMIT
  const minRows = optionInteger(options.rows, { name: '--rows', min: 1, max: Number.MAX_SAFE_INTEGER })
  await using retake = await context.open()
  const report = await findIncidents(retake, {
    signal,
    onProgress: terminal.onProgress,
    kind,
    minRows,
    since: optionText(options.since),
    until: optionText(options.until),
    table: optionText(options.table),
    timeline: optionInteger(options.timeline, { name: '--timeline', min: 1, max: 0xffff_ffff }),
  }).result
  const shown = report.incidents.slice(0, limit)
  return {
    data: { ...report, incidents: shown, found: report.incidents.length },
    text: render(report, shown, terminal),
  }
}

function readKind(text: string | undefined): (typeof incidentKinds)[number] | undefined {
  const kind = incidentKinds.find((one) => one === text)
  if (text === undefined || kind) return kind
  throw new RetakeError('config.invalid', `"${text}" is no kind of incident.`, {
    hint: `Use one of ${incidentKinds.join(', ')}.`,
  })
}

function render(report: FindReport, shown: readonly IncidentView[], terminal: Terminal): string {
  const { incidents, read, readBytes, transactions, since, until, marks, leftOut } = report
  if (read.length === 0) return `Of the time from ${since}${until ? ` to ${until}` : ''} no WAL is held.`
  const lines = shown.map((one) => renderIncident(one, terminal))
  if (incidents.length === 0) lines.push('Nothing that looks like a mistake.')
  if (incidents.length > shown.length)
    lines.push(`${incidents.length - shown.length} more: --limit ${incidents.length}`)
  if (leftOut > 0) lines.push(`${leftOut} older changes of definitions are left out: look through a shorter time.`)
  if (read.length > 1) lines.push('WAL is missing in between: what happened there is not known (retake window).')
  for (const { type, name, at, lsn } of marks)
    lines.push(terminal.paint('dim', `${at ?? lsn}  ${type}${name ? ` ${name}` : ''}`))
  const tail = `${transactions.toLocaleString('en')} transactions since ${since}, in ${formatBytes(readBytes)} of WAL.`
  return [...lines, terminal.paint('dim', tail)].join('\n')
}

const COLORS = { critical: 'red', warning: 'yellow', info: 'gray' } as const

function renderIncident(incident: IncidentView, terminal: Terminal): string {
  const { severity, what, at, lsn, xid, before, after, isPartial } = incident
  const place = `${at ?? lsn}, transaction ${xid ?? 'not known'}`
  return [
    `${terminal.paint(COLORS[severity], severity.toUpperCase())}  ${what}`,
    `    ${place}${isPartial ? '; it began before what was read, and may have done more' : ''}`,
    `    just before this: --at ${before}    with this: --at ${after}`,
  ].join('\n')
}
