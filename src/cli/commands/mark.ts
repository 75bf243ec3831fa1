import { mark } from '../../engine/mark.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const [name = ''] = context.args
  await using retake = await context.open()
  const report = await mark(retake, name, { signal: context.signal })
  const { at, lsn, target } = report
  return { data: report, text: `Marked ${at} (${lsn}). Back to it, once its WAL is held: --at ${quoted(target)}` }
}

/** As a shell takes it. */
function quoted(target: string): string {
  return /^[\w:.-]+$/.test(target) ? target : `'${target.replaceAll("'", `'\\''`)}'`
}
