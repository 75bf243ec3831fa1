import { RetakeError } from '../../base/errors.ts'
import { type RotatedData, rotateData } from '../../engine/keys/rotate-data.ts'
import { rotateMaster } from '../../engine/keys/rotate-master.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { hasNewKey, newKeySource } from '../new-key-options.ts'
import { optionText } from '../options.ts'
import { renderAdded } from './keys-add.ts'
import { renderRemoval } from './keys-remove.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options } = context
  const ifDue = options.ifDue === true
  if (options.master === true && options.data === true) throw chooseOne()
  if (options.master === true) return await rotateHolder(context, ifDue)
  if (hasNewKey(context)) throw chooseOne()
  if (options.data !== true && !ifDue) throw chooseOne()
  await using retake = await context.open()
  const rotated = await rotateData(retake, { ifDue, dryRun: options.dryRun === true })
  return { data: { repository: retake.repository.url, data: rotated }, text: renderData(rotated) }
}

async function rotateHolder(context: CommandContext, ifDue: boolean): Promise<CommandOutcome> {
  const { options, signal } = context
  await using retake = await context.open()
  const { url } = retake.repository
  const rotated = await rotateMaster(retake, {
    // Asked for only when it is needed.
    source: () => newKeySource(context),
    label: optionText(options.label),
    replaces: optionText(options.replaces),
    force: options.force === true,
    dryRun: options.dryRun === true,
    ifDue,
    signal,
  })
  const data = { repository: url, master: rotated }
  switch (rotated.outcome) {
    case 'not-due':
      return { data, text: `The key ${rotated.replaces} is not due${rotated.dueAt ? ` before ${rotated.dueAt}` : ''}.` }
    case 'planned':
      return { data, text: `Would add the new key, try it, and then remove ${rotated.replaces}. Nothing was changed.` }
    case 'rotated':
      return { data, text: `${renderAdded(rotated.added)}\n\n${renderRemoval(rotated.removed)}` }
  }
}

function renderData({ cluster, outcome, epoch, dueAt }: RotatedData): string {
  switch (outcome) {
    case 'not-due':
      return dueAt
        ? `The data key of "${cluster}" (epoch ${epoch}) is not due before ${dueAt}.`
        : `The data key of "${cluster}" (epoch ${epoch}) is never due: keyRotationDays is not set.`
    case 'planned':
      return `Would begin epoch ${epoch} of "${cluster}". Nothing was changed.`
    case 'raced':
      return `Epoch ${epoch} of "${cluster}" was begun at the same time by somebody else; it counts.`
    case 'created':
      return [
        `Epoch ${epoch} of "${cluster}" has begun. What begins from now on is sealed with its key; a receiver that is running`,
        'goes on with the older one until it is started again.',
        `Everything stored stays readable. To seal it anew: retake keys re-encrypt --cluster ${cluster}`,
      ].join('\n')
  }
}

function chooseOne(): RetakeError {
  return new RetakeError('config.invalid', 'It must be said which key is to be replaced.', {
    hint: 'Give --data for the key that seals backups and WAL, or --master and the new key (such as --new-key FILE) for one that people hold.',
  })
}
