import { resolve } from 'node:path'
import { planRestore } from '../../engine/restore.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'
import { writePlanFile } from '../plan-file.ts'
import { failedChecks, planOptions, renderPlan } from '../restore-options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const plan = await planRestore(retake, planOptions(context, retake))
  const out = optionText(context.options.out)
  const file = out === undefined ? undefined : await writePlanFile(resolve(context.directory, out), plan)
  const refused = failedChecks(plan)
  const next = refused
    ? 'Repair what FAILED, then plan again.'
    : file
      ? `Carry it out: retake restore apply ${file}`
      : 'Carry it out: the same options with `retake restore apply`, or keep this plan with --out plan.json.'
  return {
    data: { plan, ...(file ? { file } : {}) },
    text: `${renderPlan(plan)}\n\n${next}`,
    problem: refused ? 'restore.refused' : undefined,
  }
}
