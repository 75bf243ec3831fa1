/** The flags of every command that asks a server. A module of its own: the table of commands loads nothing of the client. */
import type { CommandOption } from './command.ts'

export const serverOptions: readonly CommandOption[] = [
  { flags: '--server <url>', description: 'the server to ask (RETAKE_SERVER; default http://127.0.0.1:7420)' },
  {
    flags: '--server-token-file <file>',
    description: "the server's token, a file in its directory (RETAKE_TOKEN_FILE, or the token itself in RETAKE_TOKEN)",
    completes: 'file',
  },
]

/** Of commands that ask a server where one is known, and look for themselves elsewhere. */
export const serverOrLocalOptions: readonly CommandOption[] = [
  ...serverOptions,
  { flags: '--local', description: 'ask no server: look at the repository and the server to protect from here' },
]
