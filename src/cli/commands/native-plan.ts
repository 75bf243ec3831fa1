import { nativeSteps, planNative } from '../../engine/native/restore.ts'
import { retakeSettings } from '../../engine/open.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderNativePlan } from '../native-plan-view.ts'
import { retakeOptions } from '../open.ts'
import { optionPath, requireOption } from '../options.ts'
import { writePlanFile } from '../plan-file.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, clock, directory } = context
  const at = requireOption(options.at, {
    name: '--at',
    hint: 'Such as: retake native plan --at 2026-11-22T09:04:11Z --out plan.json',
  })
  const settings = retakeSettings(await retakeOptions(context))
  const plan = await planNative(settings, { at, signal })
  const steps = nativeSteps(settings)
  const out = optionPath(options.out, directory)
  const file = out === undefined ? undefined : await writePlanFile(out, plan)
  const next = file
    ? `Carry it out within 15 minutes: retake native apply ${file}`
    : 'To carry it out, keep it: the same with --out plan.json.'
  return {
    data: { plan, steps, ...(file ? { file } : {}) },
    text: `${renderNativePlan(plan, { steps, now: clock.now() })}\n\n${next}`,
  }
}
