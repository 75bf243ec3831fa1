import { fetchWal } from '../../engine/fetch-wal.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

/** Exit status 1 is the one thing that PostgreSQL reads as the end of the archive; `exit-codes.ts` lifts every failure to 126. */
export async function run(context: CommandContext): Promise<CommandOutcome> {
  const [name = '', file = ''] = context.args
  await using retake = await context.open()
  const fetched = await fetchWal(retake, { name, file })
  return { data: fetched, text: '', ...(fetched.kind === 'absent' ? { exitCode: 1 } : {}) }
}
