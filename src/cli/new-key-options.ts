/** What the flags of `new-key-flags.ts` mean. */
import { RetakeError } from '../base/errors.ts'
import type { NewKeySource } from '../engine/keys/new-key.ts'
import type { CommandContext } from './command.ts'
import { optionText } from './options.ts'
import { askHidden } from './prompt.ts'

const NAMES = ['newKey', 'recoveryKit', 'fromFile', 'fromEnv', 'fromCommand', 'kms', 'askPassphrase'] as const

/** Whether any of them was given. */
export function hasNewKey({ options }: CommandContext): boolean {
  return NAMES.some((name) => options[name] !== undefined)
}

/** @throws RetakeError `config.invalid` unless exactly one was given; `key.missing` for a variable that is not set */
export async function newKeySource(context: CommandContext): Promise<NewKeySource> {
  const { options } = context
  const given = NAMES.filter((name) => options[name] !== undefined)
  const [name, ...others] = given
  if (name === undefined || others.length > 0) {
    throw new RetakeError('config.invalid', 'It must be said where the new key comes from, once.', {
      hint: 'Give one of --new-key FILE, --recovery-kit FILE, --from-file FILE, --from-env NAME, --from-command COMMAND, --kms KEY, --ask-passphrase.',
    })
  }
  const value = optionText(options[name]) ?? ''
  switch (name) {
    case 'newKey':
      return { kind: 'new-file', file: value }
    case 'recoveryKit':
      return { kind: 'recovery-kit', file: value }
    case 'fromFile':
      return { kind: 'file', file: value }
    case 'fromEnv':
      return { kind: 'text', text: requireVariable(context, value) }
    case 'fromCommand':
      return { kind: 'command', command: value }
    case 'kms':
      return { kind: 'kms', keyId: value }
    default:
      return { kind: 'passphrase', text: await askNewPassphrase(context) }
  }
}

function requireVariable({ env }: CommandContext, name: string): string {
  const text = env[name]
  if (text) return text
  throw new RetakeError('key.missing', `The environment variable ${name} is not set.`, {
    hint: `Set ${name} to the text of the key (RETAKE-KEY-1:…).`,
  })
}

/** Asked twice: a slip that is typed once would lock out whoever has only this passphrase. */
async function askNewPassphrase(context: CommandContext): Promise<string> {
  const { env, interactive, signal } = context
  if (env.RETAKE_NEW_PASSPHRASE) return env.RETAKE_NEW_PASSPHRASE
  if (!interactive) {
    throw new RetakeError('key.missing', 'The new passphrase cannot be asked for here.', {
      hint: 'Set RETAKE_NEW_PASSPHRASE, or run it on a terminal.',
    })
  }
  const first = await askHidden('New passphrase: ', signal)
  if ((await askHidden('The same again: ', signal)) === first) return first
  throw new RetakeError('config.invalid', 'The two passphrases differ; nothing was changed.', { hint: 'Try again.' })
}
