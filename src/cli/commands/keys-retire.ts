import { retireKeys } from '../../engine/keys/retire-keys.ts'
import type { EpochRetirement } from '../../repository/retire-epoch.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionInteger, optionPath } from '../options.ts'

const DAY_MS = 86_400_000

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, options } = context
  const days = optionInteger(options.graceDays, { name: '--grace-days', min: 0, max: 3650 })
  await using retake = await context.open()
  const dryRun = options.dryRun === true
  const epochs = await retireKeys(retake, {
    signal,
    dryRun,
    graceMs: days === undefined ? undefined : days * DAY_MS,
    spoolDirectory: optionPath(options.spool, context.directory),
  })
  const lines = epochs.length === 0 ? ['There is no older key.'] : epochs.map((one) => render(one, dryRun))
  return {
    data: { cluster: retake.clusterName, dryRun, epochs },
    text: [...lines, ...(dryRun ? ['Nothing was changed.'] : [])].join('\n'),
  }
}

function render({ epoch, outcome, because, dueAt }: EpochRetirement, dryRun: boolean): string {
  switch (outcome) {
    case 'in-use':
      return `Epoch ${epoch} stays: ${because}.`
    case 'announced':
      return `Epoch ${epoch} seals nothing any more. ${dryRun ? 'Its end would be announced' : 'Its end is announced'}: run this again after ${dueAt} to destroy its key.`
    case 'waiting':
      return `Epoch ${epoch} seals nothing any more. Its key can be destroyed after ${dueAt}.`
    case 'retired':
      return dryRun ? `The key of epoch ${epoch} would be destroyed.` : `The key of epoch ${epoch} is destroyed.`
  }
}
