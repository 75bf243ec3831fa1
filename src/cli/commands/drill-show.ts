import { readDrill } from '../../drills/records.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderDrill } from '../drill-view.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const drill = await readDrill(retake, context.args[0])
  return { data: { drill }, text: renderDrill(drill, context.terminal) }
}
