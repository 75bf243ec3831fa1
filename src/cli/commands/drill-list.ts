import { listDrills } from '../../drills/records.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderDrills } from '../drill-view.ts'
import { optionInteger } from '../options.ts'

const DEFAULT_LIMIT = 20

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const limit = optionInteger(context.options.limit, { name: '--limit', min: 1, max: 10_000 }) ?? DEFAULT_LIMIT
  const damaged: string[] = []
  const onDamage = ({ message }: { readonly message: string }, key: string) => {
    damaged.push(key)
    context.terminal.logger.warn(`A record cannot be read. ${message}`)
  }
  const drills = await listDrills(retake, { limit, onDamage })
  const none = `No recovery of "${retake.clusterName}" was rehearsed yet. Do it: retake drill run`
  return {
    data: { cluster: retake.clusterName, drills, damaged },
    text: drills.length === 0 ? none : renderDrills(drills),
    problem: damaged.length > 0 ? 'repo.damaged' : undefined,
  }
}
