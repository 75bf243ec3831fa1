import type { Status } from '../../client.ts'
import { readStatus } from '../../engine/status.ts'
import { askOrLook, sourceInWords } from '../ask-server.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatAgo, formatBytes, formatDuration, renderFields } from '../format.ts'
import { nativeSummary } from '../native-view.ts'
import type { Terminal } from '../terminal.ts'
import { renderLag } from './repo-mirrors.ts'
import { renderWindows } from './window.ts'

/** What a server tells is what is found here. */
type StatusView = Omit<Status, 'schemaVersion'>

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, clock, terminal } = context
  const { value: report, source } = await askOrLook<StatusView>(context, {
    ask: async (client, cluster) => await client.getStatus({ cluster }, { signal }),
    look: async () => {
      await using retake = await context.open()
      return await readStatus(retake, { signal })
    },
  })
  return {
    data: { ...report, source },
    text: `${render(report, { now: clock.now(), terminal })}\n\n${terminal.paint('dim', sourceInWords(source))}`,
    problem: report.verdict === 'ok' ? undefined : 'health.failed',
  }
}

function render(report: StatusView, { now, terminal }: { readonly now: Date; readonly terminal: Terminal }): string {
  const { lastBackup, archive, receiver } = report
  const verdict = report.verdict === 'ok' ? terminal.paint('green', 'protected') : terminal.paint('red', 'ENDANGERED')
  const fields = renderFields([
    ['cluster', `${report.cluster}: ${verdict}`],
    [
      'last backup',
      lastBackup
        ? `${lastBackup.backupId}, ${formatAgo(new Date(lastBackup.stoppedAt), now)} (${report.backupCount} in all)`
        : 'none',
    ],
    [
      'archive',
      archive
        ? `${archive.flushLsn} on timeline ${archive.timeline}, ${formatAgo(new Date(archive.at), now)}`
        : 'empty',
    ],
    ...(archive?.spool
      ? [
          ['acknowledged', `${archive.spool.acknowledgedLsn}, from the spool on ${archive.spool.host}`] as [
            string,
            string,
          ],
        ]
      : []),
    ['lost if the server vanished now', renderRpo(report)],
    ['receiver', receiver ? `${receiver.holder}, since ${receiver.since}` : 'none'],
    [
      'server',
      report.server
        ? `${report.server.flushLsn}, timeline ${report.server.timeline ?? 'not known'}`
        : report.serverError?.message,
    ],
    ['slot', renderSlot(report)],
    ...(report.mirrors?.copies ?? []).map((copy): [string, string] => [
      `copy ${copy.name}`,
      [copy.isPrimary ? `${copy.state}, primary` : copy.state, copy.isPrimary ? '' : renderLag(copy)]
        .filter(Boolean)
        .join('; lacks '),
    ]),
    ['Supabase', report.native && nativeSummary(report.native)],
  ])
  const parts = [fields]
  if (report.windows.length > 0) parts.push(renderWindows(report.windows))
  if (report.reasons.length > 0) {
    parts.push(
      report.reasons
        .map(({ severity, message, fix }) => {
          const mark = severity === 'danger' ? terminal.paint('red', 'DANGER ') : terminal.paint('yellow', 'warning')
          return `${mark}  ${message}\n         fix: ${fix}`
        })
        .join('\n'),
    )
  }
  return parts.join('\n\n')
}

function renderRpo({ rpo }: StatusView): string {
  if (rpo.state === 'caught-up') return 'nothing: everything is held'
  const parts = [
    rpo.behindBytes === undefined ? undefined : formatBytes(rpo.behindBytes),
    rpo.behindMs === undefined ? undefined : `at most ${formatDuration(rpo.behindMs)} of transactions`,
  ].filter((part) => part !== undefined)
  return parts.length > 0 ? `${parts.join(', ')}. ${rpo.explanation}` : `unknown. ${rpo.explanation}`
}

function renderSlot({ slot }: StatusView): string | undefined {
  if (!slot) return undefined
  if (!slot.exists) return `${slot.name}: missing`
  const held = slot.heldBytes === undefined ? '' : `, keeps ${formatBytes(slot.heldBytes)} on the server`
  const safe = slot.safeBytes === undefined ? '' : `, lost after ${formatBytes(slot.safeBytes)} more`
  return `${slot.name}: ${slot.active ? 'in use' : 'not in use'}${held}${safe}`
}
