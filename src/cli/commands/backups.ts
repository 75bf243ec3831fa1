import { type BackupList, listBackups } from '../../engine/backups.ts'
import type { BackupCopies } from '../../engine/mirrors/three-two-one.ts'
import { readBesideNative } from '../../engine/native/read-native.ts'
import { type HoldView, listHolds } from '../../engine/retention.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatAgo, formatBytes, renderTable } from '../format.ts'
import { renderNativeBackups } from '../native-view.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const { own, native } = await readBesideNative(retake, () => listBackups(retake), { signal: context.signal })
  const { backups, damaged, copies } = own
  for (const { backupId, error } of damaged)
    context.terminal.logger.warn(`Backup ${backupId} cannot be read. ${error.message}`)
  const now = context.clock.now()
  const holds = await listHolds(retake)
  const text =
    backups.length === 0
      ? `No backup of "${retake.clusterName}" yet. Make one: retake backup`
      : render(backups, { now, holds, copies })
  return {
    data: {
      cluster: retake.clusterName,
      backups,
      damaged,
      holds,
      ...(copies ? { copies } : {}),
      ...(native ? { native } : {}),
    },
    text: native ? [`Retake's own:`, text, renderNativeBackups(native)].join('\n\n') : text,
    problem: damaged.length > 0 ? 'repo.damaged' : undefined,
  }
}

function render(
  backups: readonly BackupSummary[],
  options: { readonly now: Date; readonly holds: readonly HoldView[]; readonly copies: BackupList['copies'] },
): string {
  const { now, holds, copies } = options
  return renderTable(backups, [
    { title: 'BACKUP', value: ({ backupId }) => backupId },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'FINISHED', value: ({ stoppedAt }) => `${stoppedAt} (${formatAgo(new Date(stoppedAt), now)})` },
    { title: 'SIZE', align: 'right', value: ({ totalBytes }) => formatBytes(totalBytes) },
    {
      title: 'CHANGED',
      align: 'right',
      value: ({ changedBytes }) => (changedBytes === undefined ? '' : formatBytes(changedBytes)),
    },
    { title: 'STORED', align: 'right', value: ({ storedBytes }) => formatBytes(storedBytes) },
    { title: 'RANGE', value: ({ timeline, startLsn, stopLsn }) => `${timeline}: ${startLsn} – ${stopLsn}` },
    ...(copies ? [{ title: 'COPIES', value: ({ backupId }: BackupSummary) => renderCopies(copies[backupId]) }] : []),
    { title: 'NOTES', value: (backup) => notesOf(backup, holds) },
  ])
}

/** `origin, north: 3-2-1`, or what is missing for it. */
function renderCopies(held: BackupCopies | undefined): string {
  if (!held) return 'not known'
  const words = { copies: 'a second copy', places: 'a second place', offsite: 'one off-site' } as const
  const rule = held.missing.length === 0 ? '3-2-1' : `lacks ${held.missing.map((what) => words[what]).join(', ')}`
  const unknown = held.unknown.length > 0 ? `; not known of ${held.unknown.join(', ')}` : ''
  return `${held.copies.join(', ')}: ${rule}${unknown}`
}

function notesOf(
  { backupId, label, parent, reason, corruptBlockCount }: BackupSummary,
  holds: readonly HoldView[],
): string {
  const held = holds
    .filter((hold) => hold.backupId === backupId)
    .map((hold) => `held${hold.until === undefined ? '' : ` until ${hold.until}`}: ${hold.reason}`)
  return [
    label,
    parent === undefined ? undefined : `since ${parent}`,
    reason,
    ...held,
    corruptBlockCount > 0 ? `${corruptBlockCount} corrupt blocks on the server` : undefined,
  ]
    .filter((note) => note !== undefined)
    .join('; ')
}
