import type { Channel } from '../../client.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatAgo } from '../format.ts'
import { connectServer } from '../server-client.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, clock } = context
  const client = await connectServer(context)
  const { items: channels } = await client.listChannels({}, { signal })
  const now = clock.now()
  return {
    data: { channels },
    text: channels.length === 0 ? NONE : channels.map((channel) => render(channel, now)).join('\n\n'),
    problem: channels.some(({ failing }) => failing !== undefined) ? 'health.failed' : undefined,
  }
}

const NONE =
  'No channel is configured, so nobody is told of an alert. Add one to the file of the server (docs/channels.md).'

const CANARY = {
  waiting: 'is on its way',
  delivered: 'was delivered, and waits to be confirmed: retake alerts confirm CODE',
  failed: 'did not arrive',
  confirmed: 'was confirmed',
} as const

function render({ name, kind, provenAt, failing, canary, lastDelivery }: Channel, now: Date): string {
  const moment = (at: string) => `${at} (${formatAgo(new Date(at), now)})`
  return [
    `${name}  (${kind})`,
    `  proven: ${provenAt === undefined ? 'never; retake alerts canary asks for it' : moment(provenAt)}`,
    `  last delivery: ${lastDelivery ? moment(lastDelivery.at) : 'none yet'}`,
    ...(canary ? [`  canary of ${moment(canary.at)} ${CANARY[canary.state]}`] : []),
    ...(failing ? [`  FAILING since ${moment(failing.since)}: ${failing.error.message}`] : []),
    ...(failing?.error.hint === undefined ? [] : [`  fix: ${failing.error.hint}`]),
  ].join('\n')
}
