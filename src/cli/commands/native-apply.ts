import { resolve } from 'node:path'
import { applyNative, checkNative, type NativeRestoreReport, nativeSteps } from '../../engine/native/restore.ts'
import { type RetakeSettings, retakeSettings } from '../../engine/open.ts'
import {
  type NativeRestorePlan,
  type NativeRestoreState,
  readNativePlan,
} from '../../supabase/management/native-restore.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatDuration, renderFields } from '../format.ts'
import { renderNativePlan, renderSteps } from '../native-plan-view.ts'
import { retakeOptions } from '../open.ts'
import { optionInteger, optionText } from '../options.ts'
import { readPlanFile } from '../plan-file.ts'
import { askLine } from '../prompt.ts'

const HOW_TO_PLAN = 'Make one: retake native plan --at INSTANT --out plan.json'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, directory, clock } = context
  const planFile = resolve(directory, context.args[0] ?? '')
  const plan = readNativePlan(await readPlanFile(planFile, HOW_TO_PLAN))
  const settings = retakeSettings(await retakeOptions(context))
  if (options.dryRun === true) {
    const { isOrdered } = await checkNative(settings, plan, { planFile, signal })
    const steps = nativeSteps(settings)
    const end = isOrdered ? 'It was ordered before; without --dry-run it is followed.' : 'Nothing was ordered.'
    const text = `${renderNativePlan(plan, { steps, now: clock.now() })}\n\n${end}`
    return { data: { dryRun: true, isOrdered, plan, steps }, text }
  }
  const seconds = optionInteger(options.poll, { name: '--poll', min: 1, max: 3600 })
  const report = await applyNative(settings, plan, {
    planFile,
    signal,
    pollMs: seconds === undefined ? undefined : seconds * 1000,
    confirm: () => confirmation(context, plan, settings),
    onState: stateTeller(context),
  })
  return { data: { report }, text: renderReport(report) }
}

/** The reference as it was given, or typed by whoever sees what will be overwritten. Undefined where nobody can be asked. */
async function confirmation(
  { options, interactive, terminal, clock, signal }: CommandContext,
  plan: NativeRestorePlan,
  settings: RetakeSettings,
): Promise<string | undefined> {
  const given = optionText(options.confirm)
  if (given !== undefined || !interactive) return given
  terminal.note(renderNativePlan(plan, { steps: nativeSteps(settings), now: clock.now() }))
  const { projectName, projectRef } = plan
  return askLine(`\nThis overwrites ${projectName}. Type its reference (${projectRef}) to go on: `, signal)
}

/** A line for each change. */
function stateTeller({ terminal }: CommandContext): (state: NativeRestoreState) => void {
  let last: string | undefined
  return ({ at, status, reason }) => {
    if (status === last) return
    last = status
    terminal.info(reason === undefined ? `${at}  ${status}` : `${at}  not known: ${reason}`)
  }
}

function renderReport(report: NativeRestoreReport): string {
  const { project, target, orderedAt, endedAt, resumed, services, after } = report
  const fields = renderFields([
    ['restored', `${project}, in place, to ${target}`],
    ['ordered', `${orderedAt}${resumed ? ', by an earlier run' : ''}`],
    ['ended', `${endedAt}, after ${formatDuration(Date.parse(endedAt) - Date.parse(orderedAt))}`],
    [
      'services',
      services ? services.map(({ name, status }) => `${name} ${status}`).join(', ') : 'not known: Supabase did not say',
    ],
  ])
  return [fields, renderSteps("Now, to have Retake's own protection again:", after)].join('\n\n')
}
