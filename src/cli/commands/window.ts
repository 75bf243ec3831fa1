import { readBesideNative } from '../../engine/native/read-native.ts'
import { readWindow, type WindowEdgeView, type WindowReport, type WindowView } from '../../engine/window.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderTable } from '../format.ts'
import { renderNativeWindow } from '../native-view.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const { own, native } = await readBesideNative(retake, () => readWindow(retake), { signal: context.signal })
  if (!native) return { data: own, text: render(own) }
  const text = [`Retake's own:`, render(own), renderNativeWindow(native)].join('\n\n')
  return { data: { ...own, native }, text }
}

function render(report: WindowReport): string {
  const parts = [report.windows.length === 0 ? 'No moment can be restored yet.' : renderWindows(report.windows)]
  for (const { gaps } of report.windows) {
    for (const gap of gaps) {
      parts.push(`Gap on timeline ${gap.timeline}, ${gap.beginLsn} to ${gap.endLsn}: ${gap.explanation}`)
    }
  }
  if (report.strandedBackups.length > 0) {
    parts.push(
      `Without the WAL that makes them consistent: ${report.strandedBackups.join(', ')}.\nFetch it while the server has it: retake wal receive --until-caught-up`,
    )
  }
  if (report.unknownTimelines.length > 0) {
    parts.push(
      `Cannot be restored, because their history file is missing: timelines ${report.unknownTimelines.join(', ')}.`,
    )
  }
  if (report.damage.length > 0) {
    const list = report.damage.map(({ message }) => `  ${message}`)
    parts.push(
      ['Damaged, and not counted as held:', ...list, 'What it costs, exactly: retake verify --deep'].join('\n'),
    )
  }
  return parts.join('\n\n')
}

/** Shared with `status`. */
export function renderWindows(windows: readonly WindowView[]): string {
  return renderTable(windows, [
    { title: 'FROM', value: ({ from }) => renderEdge(from) },
    { title: 'TO', value: ({ to }) => renderEdge(to) },
    { title: 'TIMELINE', align: 'right', value: ({ timeline }) => String(timeline) },
    { title: 'BACKUPS', align: 'right', value: ({ backups }) => String(backups.length) },
  ])
}

function renderEdge({ lsn, at }: WindowEdgeView): string {
  return at ? `${at} (${lsn})` : lsn
}
