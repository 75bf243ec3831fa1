import { RetakeError } from '../../base/errors.ts'
import { type DemoResult, type DisasterKind, runDemo } from '../../demo/run.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { json, options, signal, terminal } = context
  const result = await runDemo({
    disaster: optionText(options.disaster) as DisasterKind | undefined,
    keep: options.keep === true,
    signal,
    // The story is what this command prints; with --json it is only progress.
    out: (line) => (json ? terminal.info(line) : terminal.data(line)),
  })
  if (!result.exact) throw mismatch(result)
  return { data: result, text: '' }
}

function mismatch({ differences, evidenceFile }: DemoResult): RetakeError {
  return new RetakeError('restore.mismatch', `The recovered server is not what it was: ${differences.join('; ')}.`, {
    hint: `Please report it with the evidence in ${evidenceFile}.`,
    details: { differences, evidenceFile },
  })
}
