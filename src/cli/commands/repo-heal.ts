import { healMirrors } from '../../engine/mirrors/keep-copies.ts'
import type { CopyHealing } from '../../repository/mirrors/heal.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const dryRun = options.dryRun === true
  const copies = await healMirrors(retake, {
    signal,
    onProgress: terminal.onProgress,
    copy: optionText(options.copy),
    deep: options.deep === true,
    dryRun,
  }).result
  return {
    data: { dryRun, copies },
    text: render(copies, dryRun),
    problem: copies.some(({ lost }) => lost.length > 0) ? 'repo.damaged' : undefined,
  }
}

function render(copies: readonly CopyHealing[], dryRun: boolean): string {
  const lines = copies.flatMap(({ name, healed, lost, left }) => [
    ...healed.map(({ object, was, from, evidence }) => {
      const kept = evidence ? `; the damaged bytes are kept as ${evidence}` : ''
      return `${name}: ${object} was ${was} and ${dryRun ? 'would be' : 'is'} replaced from "${from}"${kept}`
    }),
    ...lost.map(
      ({ object, was }) => `${name}: ${object} is ${was}, and no other copy that can be reached has it whole`,
    ),
    ...left.map((object) => `${name}: ${object} is being written just now; its finished segment will replace it`),
  ])
  if (lines.length > 0) return lines.join('\n')
  return `Nothing is damaged or missing in ${copies.map(({ name }) => name).join(', ')}.`
}
