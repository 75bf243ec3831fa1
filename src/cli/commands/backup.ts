import { type BackupReport, backUp } from '../../engine/backup.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, formatDuration, renderFields } from '../format.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const type = options.type === 'full' || options.type === 'incremental' ? options.type : undefined
  const report = await backUp(retake, {
    signal,
    onProgress: terminal.onProgress,
    type,
    label: optionText(options.label),
    request: optionText(options.request),
    via: optionText(options.via) as 'replication' | 'files' | undefined,
  }).result
  return { data: report, text: render(report, retake.clusterName) }
}

function render({ backup, wal, durationMs }: BackupReport, cluster: string): string {
  const rate = formatBytes((backup.totalBytes * 1000) / Math.max(1, durationMs))
  const corrupt = backup.corruptBlockCount
  const fields = renderFields([
    ['backup', `${backup.backupId}${backup.label ? ` (${backup.label})` : ''} of ${cluster}`],
    [
      'data',
      `${formatBytes(backup.totalBytes)} in ${backup.fileCount} files, ${formatDuration(durationMs)} (${rate}/s)`,
    ],
    ['type', describeType(backup)],
    ['changed', backup.changedBytes === undefined ? undefined : `${formatBytes(backup.changedBytes)} since its parent`],
    ['read', backup.via === 'files' ? 'from the files of the server' : 'through replication'],
    ['stored', `${formatBytes(backup.storedBytes)} in ${backup.packCount} packs`],
    ['restorable from', `${backup.stoppedAt} (${backup.stopLsn})`],
    [
      'corrupt blocks',
      corrupt > 0 ? `${corrupt}: the server itself is damaged; look at: retake verify --deep` : undefined,
    ],
  ])
  return wal.by === 'other-receiver' ? fields : `${fields}\n\n${NO_RECEIVER}`
}

const SOURCES = {
  'page-lsn': 'by page LSN',
  'wal-summaries': "by the server's WAL summaries",
  content: 'by content',
} as const

function describeType({ type, parent, changeSource, reason }: BackupReport['backup']): string {
  const kind = type === 'full' ? 'full' : `incremental to ${parent}, ${changeSource ? SOURCES[changeSource] : ''}`
  return reason === undefined ? kind : `${kind}. ${reason}`
}

const NO_RECEIVER =
  'No receiver is running: the WAL of this backup was fetched here, and nothing after it is recoverable until one runs.\n  retake wal receive    # as a service'
