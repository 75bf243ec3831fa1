import { prune } from '../../engine/prune.ts'
import type { PruneReport } from '../../engine/prune-report.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderFields, renderTable } from '../format.ts'
import { optionNumber } from '../options.ts'
import { describePolicy, policyOptions } from '../policy-options.ts'
import { renderWindows } from './window.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const report = await prune(retake, {
    signal,
    onProgress: terminal.onProgress,
    dryRun: options.dryRun === true,
    policy: policyOptions(options),
    graceHours: optionNumber(options.grace, { name: '--grace', min: 0, max: 87_600 }),
    repackBelow: options.repack === false ? 0 : undefined,
    forgetDamaged: options.forgetDamaged === true,
  }).result
  return { data: report, text: render(report) }
}

function render(report: PruneReport): string {
  const { plan, dryRun } = report
  const parts = [`Policy: ${describePolicy(plan.policy)}. The recovery window begins at ${plan.windowFrom}.`]
  if (plan.backups.length > 0) parts.push(renderBackups(report))
  parts.push(renderWal(report))
  if (plan.windowAfter.length > 0) {
    const same = JSON.stringify(plan.windowAfter) === JSON.stringify(plan.windowBefore)
    if (!same) parts.push(`Window before:\n${renderWindows(plan.windowBefore)}`)
    parts.push(`${same ? 'Window, before and after' : 'Window after'}:\n${renderWindows(plan.windowAfter)}`)
  }
  parts.push(renderTotals(report), ...report.doubts)
  if (report.locked.length > 0)
    parts.push(
      `Kept by the storage until their lock ends, and deleted by a later run: ${report.locked.length} objects.`,
    )
  if (dryRun) parts.push('Nothing was changed. To carry it out: retake prune')
  return parts.join('\n\n')
}

function renderBackups({ plan, givenUp }: PruneReport): string {
  const going = new Set(givenUp.backups)
  return renderTable(plan.backups, [
    { title: 'BACKUP', value: ({ backupId }) => backupId },
    { title: 'FINISHED', value: ({ stoppedAt }) => stoppedAt },
    {
      title: '',
      value: ({ backupId, action }) => (going.has(backupId) ? 'drop' : action === 'drop' ? 'drop later' : 'keep'),
    },
    { title: 'OWN BYTES', align: 'right', value: ({ ownBytes }) => formatBytes(ownBytes) },
    {
      title: 'WHY',
      value: ({ rules, why }) => (rules.length > 0 ? `${rules.map(({ rule }) => rule).join(', ')}: ${why}` : why),
    },
  ])
}

function renderWal({ plan }: PruneReport): string {
  const lines = plan.wal.flatMap(({ timeline, keep, why }) => {
    if (keep === 'all') return [`WAL of timeline ${timeline}: all stays, ${why}`]
    if (keep.length === 0) return [`WAL of timeline ${timeline}: all goes, ${why}`]
    return keep.map((stretch) => {
      const to = stretch.toLsn === undefined ? 'on' : `to ${stretch.toLsn}`
      return `WAL of timeline ${timeline}: from ${stretch.fromLsn} ${to} stays, ${stretch.why.slice(0, 2).join('; ')}`
    })
  })
  return lines.length > 0 ? lines.join('\n') : 'No WAL is held.'
}

function renderTotals({ plan, givenUp, deleted, pending, repack, dryRun }: PruneReport): string {
  const { packsBefore, packsAfter, walBefore, walAfter } = plan.bytes
  const would = dryRun ? 'would be ' : ''
  const waiting = pending.reduce((sum, { bytes }) => sum + bytes, 0)
  const due = pending.map(({ dueAt }) => dueAt).sort()[0]
  return renderFields([
    ['backups', `${formatBytes(packsBefore)} before, ${formatBytes(packsAfter)} after`],
    ['WAL', `${formatBytes(walBefore)} before, ${formatBytes(walAfter)} after`],
    [
      `${would}given up`,
      `${givenUp.backups.length} backups, ${givenUp.packs} packs (${formatBytes(givenUp.packBytes)}), ${givenUp.segments} WAL segments (${formatBytes(givenUp.walBytes)})`,
    ],
    [
      `${would}repacked`,
      repack.packs > 0
        ? `${repack.packs} packs of ${formatBytes(repack.freedBytes)} into ${formatBytes(repack.writtenBytes)}`
        : undefined,
    ],
    ['deleted', dryRun ? undefined : `${deleted.objects} objects, ${formatBytes(deleted.bytes)}`],
    [
      'waiting',
      pending.length > 0
        ? `${formatBytes(waiting)}, to be deleted by a run after ${due}${waitsFor(pending)}`
        : undefined,
    ],
  ])
}

function waitsFor(pending: PruneReport['pending']): string {
  const words = {
    backup: 'a running backup',
    readers: 'a running restore or verification',
    damage: 'a repository without damage',
    lock: 'the lock of the storage',
  }
  const others = new Set(pending.flatMap((one) => (one.waitsFor === 'grace' ? [] : [words[one.waitsFor]])))
  return others.size > 0 ? `; it also waits for ${[...others].join(' and ')}` : ''
}
