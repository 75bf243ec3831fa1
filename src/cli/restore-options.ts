/** What `restore plan` and `restore apply` share: their options, and how a plan is shown. */
import { fileURLToPath } from 'node:url'
import { RetakeError } from '../base/errors.ts'
import type { Retake } from '../engine/open.ts'
import type { PlanRestoreOptions } from '../engine/restore.ts'
import type { PlanDelta, RestorePlan } from '../recovery/plan-types.ts'
import { type AfterRecovery, quoteForRestoreCommand } from '../recovery/settings.ts'
import type { CommandContext, OptionValues } from './command.ts'
import { formatBytes, formatDuration, renderFields } from './format.ts'
import { optionInteger, optionPairs, optionText, requireOption } from './options.ts'

const EXAMPLE = 'Such as: retake restore plan --at latest --to /srv/restored'

/** @throws RetakeError `config.invalid` */
export function planOptions(context: CommandContext, retake: Retake): PlanRestoreOptions {
  const { options, signal } = context
  return {
    delta: deltaRequest(options),
    at: requireOption(options.at, { name: '--at', hint: EXAMPLE }),
    to: requireOption(options.to, { name: '--to', hint: EXAMPLE }),
    port: optionInteger(options.port, { name: '--port', min: 1, max: 65_535 }),
    timeline: optionInteger(options.timeline, { name: '--timeline', min: 1, max: 0xffff_ffff }),
    backupId: optionText(options.backup),
    action: optionText(options.then) as AfterRecovery | undefined,
    start: options.start !== false,
    tablespaceMap: optionPairs(options.tablespaceMap, '--tablespace-map'),
    settings: optionPairs(options.set, '--set'),
    restoreCommand: restoreCommand(retake),
    signal,
  }
}

/** There is no undo by accident, and no lack of one either. @throws RetakeError `config.invalid` */
function deltaRequest(options: OptionValues): PlanRestoreOptions['delta'] {
  const undoDirectory = optionText(options.undoDir)
  const keepNothing = options.undo === false
  if (options.delta !== true) {
    if (undoDirectory === undefined && !keepNothing) return undefined
    throw new RetakeError('config.invalid', '--undo-dir and --no-undo belong to --delta.', {
      hint: 'Add --delta to change a directory that is there, or leave them out.',
    })
  }
  if (undoDirectory !== undefined && !keepNothing) return { undoDirectory }
  if (keepNothing && undoDirectory === undefined) return { keepNothing: true }
  throw new RetakeError('config.invalid', 'With --delta, say what becomes of the directory as it is now.', {
    hint: 'Keep a copy of it: --undo-dir DIR; or keep nothing: --no-undo.',
  })
}

/** Options of `apply` that change no plan. */
const APPLY_ONLY: ReadonlySet<string> = new Set(['dryRun', 'confirm'])
/** Options that are on when nobody names them. */
const DEFAULT_ON: ReadonlySet<string> = new Set(['start', 'undo'])

/** Options that make a plan, and that a plan which is already made no longer takes. */
export function planOptionNames(options: OptionValues): string[] {
  return Object.entries(options)
    .filter(
      ([name, value]) => value !== undefined && !APPLY_ONLY.has(name) && !(DEFAULT_ON.has(name) && value === true),
    )
    .map(([name]) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
}

/** This command, by absolute paths, as PostgreSQL runs it later. A key that only the environment holds must be in the server's. */
function restoreCommand(retake: Retake): string {
  const script = fileURLToPath(new URL('../../bin/retake.js', import.meta.url))
  const { keyFile, mirrors } = retake.config
  const words = [process.execPath, script, '--repo', retake.repository.url, '--cluster', retake.clusterName]
  if (keyFile !== undefined) words.push('--key-file', keyFile)
  // Names the other copies, for when the first cannot be reached.
  if (retake.configFile !== undefined && (mirrors ?? []).length > 0) words.push('--config', retake.configFile)
  return [...words.map(quoteForRestoreCommand), 'wal get %f "%p"'].join(' ')
}

export function renderPlan(plan: RestorePlan): string {
  const { backup, stop, wal, files, place, server, predicted } = plan
  const last = stop.lastTransaction
  const fields = renderFields([
    ['target', `${plan.target.asked}, on timeline ${plan.target.timeline}`],
    ['backup', `${backup.backupId}: ${backup.why}`],
    ['stops', `${stop.why}\n${stop.applied ? 'after' : 'before'} the record at ${stop.recordLsn}`],
    ['last transaction', last ? `${last.xid} at ${last.at}` : undefined],
    [
      'files',
      `${files.count} files, ${formatBytes(files.bytes)}; ${formatBytes(files.fetchedBytes)} to fetch, ${formatBytes(files.writtenBytes)} to write`,
    ],
    ['WAL', `${wal.beginLsn} to ${wal.endLsn}: ${formatBytes(wal.bytes)} in ${wal.segmentCount} segments`],
    ['into', place.targetDirectory],
    ['in place', place.delta && renderDelta(place.delta)],
    ['undo', place.delta && (place.delta.undoDirectory ?? 'none: nothing is kept')],
    ...place.tablespaces.map(
      ({ originalLocation, location }) => ['tablespace', `${originalLocation} → ${location}`] as const,
    ),
    [
      'server',
      server.start
        ? `on port ${server.port}, then ${server.action}`
        : `not started; port ${server.port}, then ${server.action}`,
    ],
    ['predicted', `${formatDuration(predicted.totalMs)}: ${predicted.formula}`],
    ['plan', plan.hash],
  ])
  const checks = plan.preflight.map(({ name, status, detail, fix }) => {
    const line = `  ${{ passed: 'ok     ', warning: 'warning', failed: 'FAILED ' }[status]}  ${name}: ${detail}`
    return fix ? `${line}\n           fix: ${fix}` : line
  })
  return [fields, ['Checks', ...checks].join('\n'), ...plan.warnings.map((warning) => `Note: ${warning}`)].join('\n\n')
}

function renderDelta(delta: PlanDelta): string {
  return [
    `${delta.presentFiles} files with ${formatBytes(delta.presentBytes)} are compared; at most ${formatBytes(delta.atMostBytes)} differ`,
    `${delta.removedFiles} files with ${formatBytes(delta.removedBytes)} are removed, ${delta.removedWalFiles} of them WAL in pg_wal`,
  ].join('\n')
}

export function failedChecks(plan: RestorePlan): boolean {
  return plan.preflight.some(({ status }) => status === 'failed')
}
