import type { CommandContext, CommandOutcome } from '../command.ts'
import { connectServer } from '../server-client.ts'
import { wantedChannels } from '../wanted-channels.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal } = context
  const client = await connectServer(context)
  const names = await wantedChannels(context, client)
  const canaries = await Promise.all(names.map((channel) => client.sendCanary({ channel }, { signal })))
  return {
    data: { canaries },
    text: [
      `On its way through ${names.join(', ')}. Whoever gets it confirms it with the code that stands in it:`,
      '  retake alerts confirm CODE',
      'What came of it: retake alerts channels',
    ].join('\n'),
  }
}
