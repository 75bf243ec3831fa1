import { removeKey } from '../../engine/keys/remove-key.ts'
import type { HolderRemoval } from '../../repository/keys/holder-removal.ts'
import { findHolder } from '../../repository/keys/holder-removal.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const [holder = ''] = context.args
  const { url } = retake.repository
  if (context.options.dryRun) {
    const id = await findHolder(retake.repository, holder)
    return { data: { repository: url, dryRun: true, holder: id }, text: `Would remove ${id}. Nothing was changed.` }
  }
  const removal = await removeKey(retake, { holder, force: context.options.force === true })
  return { data: { repository: url, ...removal }, text: renderRemoval(removal) }
}

/** Shared with `keys rotate`. */
export function renderRemoval({ holder, kind, label }: HolderRemoval): string {
  return [
    `${holder} (${kind} "${label}") no longer opens the repository.`,
    'Who had it may have kept the key of the repository itself, or a copy of what it opened. If that is to be feared,',
    'rotating keys here does not lock them out: copy what you need into a new repository, which has a new key, and delete this one.',
  ].join('\n')
}
