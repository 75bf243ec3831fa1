import { type AddedKey, addKey } from '../../engine/keys/add-key.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { newKeySource } from '../new-key-options.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const source = await newKeySource(context)
  const added = await addKey(retake, { source, label: optionText(context.options.label), signal: context.signal })
  return { data: { repository: retake.repository.url, ...added }, text: renderAdded(added) }
}

/** Shared with `keys rotate`. */
export function renderAdded({ holder, kind, label, outcome, file }: AddedKey): string {
  if (outcome === 'exists') return `This key opens the repository already: ${holder} (${kind} "${label}").`
  const lines = [`${holder} (${kind} "${label}") opens the repository; that was tried.`]
  if (kind === 'recovery-kit') lines.push(`Print ${file}, lock it away, and delete the file.`)
  else if (file !== undefined && kind === 'key')
    lines.push(`Its key is in ${file}. To use it: export RETAKE_KEY_FILE=${file}`)
  if (kind === 'kms') lines.push('To use it: export RETAKE_KMS_KEY with the key, and give the machine AWS credentials.')
  return lines.join('\n')
}
