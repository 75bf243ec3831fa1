import { RetakeError } from '../../base/errors.ts'
import { RANDOM_TARGET } from '../../drills/choose-target.ts'
import { runDrill } from '../../drills/run.ts'
import type { DrillOutcome } from '../../repository/drills.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderDrill } from '../drill-view.ts'
import { optionNumber, optionPath, optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, terminal, signal, directory } = context
  const at = optionText(options.at)
  if (at !== undefined && options.random === true) {
    throw new RetakeError('config.invalid', 'Either --at or --random says what is brought back, not both.', {
      hint: 'Leave one of them out.',
    })
  }
  await using retake = await context.open()
  const gigabytes = optionNumber(options.maxDisk, { name: '--max-disk', min: 0, max: 1e9 })
  const hours = optionNumber(options.timeLimit, { name: '--time-limit', min: 0.0001, max: 500 })
  const { drill, kept } = await runDrill(retake, {
    at: at ?? RANDOM_TARGET,
    deep: options.deep === true,
    keep: options.keep === true,
    directory: optionPath(options.dir, directory),
    role: optionText(options.role),
    maxBytes: gigabytes === undefined ? undefined : gigabytes * 1e9,
    timeLimitMs: hours === undefined ? undefined : hours * 3_600_000,
    signal,
    onProgress: terminal.onProgress,
  }).result
  const note = kept === undefined ? '' : `\n\nThe recovered files are in ${kept}; remove it when nobody needs it.`
  return {
    data: { drill, ...(kept === undefined ? {} : { kept }) },
    text: `${renderDrill(drill, terminal)}${note}`,
    problem: problems[drill.outcome],
  }
}

const problems = {
  passed: undefined,
  failed: 'drill.failed',
  inconclusive: 'drill.inconclusive',
  interrupted: 'aborted',
} as const satisfies Record<DrillOutcome, string | undefined>
