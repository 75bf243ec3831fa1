/** The flags that say where a new key comes from, shared by `keys add` and `keys rotate --master`. Data, as the table of commands is. */
import type { CommandOption } from './command.ts'

export const newKeyOptions: readonly CommandOption[] = [
  { flags: '--new-key <file>', description: 'make a key and write it to this new file', completes: 'file' },
  {
    flags: '--recovery-kit <file>',
    description: 'make a key and write it, with instructions to print, to this new file',
    completes: 'file',
  },
  { flags: '--from-file <file>', description: 'a key file that exists', completes: 'file' },
  { flags: '--from-env <name>', description: 'an environment variable that holds a key' },
  { flags: '--from-command <command>', description: 'a shell command that prints a key' },
  { flags: '--kms <key>', description: 'a key in AWS KMS: its ARN, id or alias/NAME' },
  { flags: '--ask-passphrase', description: 'a passphrase, asked for twice (or RETAKE_NEW_PASSPHRASE)' },
]
