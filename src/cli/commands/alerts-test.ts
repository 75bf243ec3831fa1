import type { ChannelTest } from '../../client.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { connectServer } from '../server-client.ts'
import { wantedChannels } from '../wanted-channels.ts'

/** All at once, each with what came of it: one that fails does not keep the others from being tried. */
export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal } = context
  const client = await connectServer(context)
  const names = await wantedChannels(context, client)
  const tests = await Promise.all(names.map((channel) => client.testChannel({ channel }, { signal })))
  return {
    data: { tests },
    text: tests.map(render).join('\n'),
    problem: tests.some(({ delivered }) => !delivered) ? 'notice.failed' : undefined,
  }
}

function render({ channel, delivered, durationMs, message, error }: ChannelTest): string {
  if (delivered) {
    const receipt = message === undefined ? '' : `, as ${message}`
    return `${channel}: taken by the other side after ${durationMs} ms${receipt}. Whether a person sees it, only a canary tells.`
  }
  return [
    `${channel}: did not arrive. ${error?.message ?? ''}`,
    ...(error?.hint === undefined ? [] : [`  fix: ${error.hint}`]),
  ].join('\n')
}
