import type { Alert } from '../../client.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatAgo } from '../format.ts'
import { optionText } from '../options.ts'
import { connectServer } from '../server-client.ts'
import type { Terminal } from '../terminal.ts'

/** What is open is what people ask for; the rest is for `--all`. */
export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, global, signal, clock, terminal } = context
  const client = await connectServer(context)
  const cluster = optionText(global.cluster)
  const found: Alert[] = []
  let cursor: string | undefined
  do {
    const page = await client.listAlerts({ cluster, cursor, limit: 500 }, { signal })
    found.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  const alerts = options.all === true ? found : found.filter(({ state }) => state !== 'pending' && !isOver(state))
  const isBad = alerts.some(({ state, severity }) => severity === 'critical' && !isOver(state))
  return {
    data: { alerts },
    text: render(alerts, { now: clock.now(), terminal }),
    problem: isBad ? 'health.failed' : undefined,
  }
}

const isOver = (state: Alert['state']): boolean => state === 'resolved' || state === 'withdrawn'

const COLORS = { critical: 'red', warning: 'yellow', info: 'dim' } as const

function render(
  alerts: readonly Alert[],
  { now, terminal }: { readonly now: Date; readonly terminal: Terminal },
): string {
  if (alerts.length === 0) return 'No alerts.'
  return alerts
    .map(({ key, severity, state, cluster, title, finding, effect, fix, since, acknowledgedBy }) => {
      const by = acknowledgedBy === undefined ? '' : ` by ${acknowledgedBy}`
      return [
        `${terminal.paint(COLORS[severity], severity.toUpperCase())}  ${cluster}: ${title}  (${state}${by}, since ${formatAgo(new Date(since), now)})`,
        `  ${finding}`,
        `  ${effect}`,
        `  fix: ${fix}`,
        `  key: ${key}`,
      ].join('\n')
    })
    .join('\n\n')
}
