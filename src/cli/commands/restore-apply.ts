import { basename, resolve } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import type { Retake } from '../../engine/open.ts'
import { applyRestore, planRestore } from '../../engine/restore.ts'
import { type RestorePlan, readPlan } from '../../recovery/plan-types.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'
import { readPlanFile } from '../plan-file.ts'
import { askLine } from '../prompt.ts'
import { failedChecks, planOptionNames, planOptions, renderPlan } from '../restore-options.ts'
import { renderReport } from '../restore-report.ts'
import { letHeapGrow } from '../small-heap.ts'

/** A restore of fewer files needs little memory either way, and is waited for: keeping the heap small costs a tenth of its time. */
const MANY_FILES = 20_000

const HOW_TO_PLAN = 'Make one: retake restore plan --at latest --to DIR --out plan.json'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const plan = await planOf(context, retake)
  if (options.dryRun) {
    const refused = failedChecks(plan)
    return {
      data: { dryRun: true, plan },
      text: `${renderPlan(plan)}\n\nNothing was changed.`,
      problem: refused ? 'restore.refused' : undefined,
    }
  }
  const confirm = await confirmation(context, plan)
  if (plan.files.count < MANY_FILES) letHeapGrow()
  const report = await applyRestore(retake, plan, { signal, confirm, onProgress: terminal.onProgress }).result
  return { data: { plan: plan.hash, report }, text: renderReport(report, plan) }
}

/** The name as it was given, or typed by whoever sees what will be changed. Undefined where nobody can be asked. */
async function confirmation(context: CommandContext, plan: RestorePlan): Promise<string | undefined> {
  const given = optionText(context.options.confirm)
  const { targetDirectory, delta } = plan.place
  if (!delta || given !== undefined || !context.interactive) return given
  context.terminal.note(renderPlan(plan))
  return await askLine(
    `\nThis changes ${targetDirectory}. Type its name (${basename(targetDirectory)}) to go on: `,
    context.signal,
  )
}

async function planOf(context: CommandContext, retake: Retake): Promise<RestorePlan> {
  const [file] = context.args
  if (file === undefined) return planRestore(retake, planOptions(context, retake))
  const given = planOptionNames(context.options)
  if (given.length > 0) {
    throw new RetakeError(
      'config.invalid',
      `A plan is carried out as it was shown; ${given.join(', ')} cannot change it.`,
      {
        hint: 'Make a new plan with these options, or leave them out.',
      },
    )
  }
  return readPlan(await readPlanFile(resolve(context.directory, file), HOW_TO_PLAN))
}
