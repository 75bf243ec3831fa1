/** What the commands about single tables share: their options, and what they mean. */
import { RetakeError } from '../base/errors.ts'
import type { TablesAtOptions } from '../engine/tables/open-tables.ts'
import type { CommandContext, CommandOption } from './command.ts'
import { optionInteger, optionText, requireOption } from './options.ts'

export const TARGETS = 'an instant with offset, lsn:X/Y, xid:N, before-xid:N, name:S, or latest'

export const tableOptions: readonly CommandOption[] = [
  { flags: '--at <target>', description: `the moment: ${TARGETS}` },
  {
    flags: '--database <name>',
    description: 'which database (default: that of RETAKE_DATABASE_URL, else postgres)',
  },
  { flags: '--timeline <n>', description: 'a timeline to stay on (default: the newest)' },
  { flags: '--backup <id>', description: 'the backup to begin with (default: the newest before the target)' },
  {
    flags: '--dir <directory>',
    description: 'where the throw-away server is made (default: the temporary directory)',
    completes: 'directory',
  },
]

export const deletedByOption: CommandOption = {
  flags: '--deleted-by <xid>',
  description: 'instead of --at: only the rows that this transaction deleted, as they were just before it',
}

const EXAMPLE = 'Such as: retake restore table shop.reviews --at 2026-11-22T09:04:00Z'

/** @throws RetakeError `config.invalid` */
export function tablesAt({
  args,
  options,
}: CommandContext): TablesAtOptions & { readonly deletedBy?: number | undefined } {
  const deletedBy = optionInteger(options.deletedBy, { name: '--deleted-by', min: 3, max: 0xffff_ffff })
  if (deletedBy !== undefined && options.at !== undefined) {
    throw new RetakeError('config.invalid', 'Both --at and --deleted-by name a moment.', { hint: 'Give one of them.' })
  }
  return {
    tables: args.filter((table) => table !== undefined),
    at:
      deletedBy === undefined ? requireOption(options.at, { name: '--at', hint: EXAMPLE }) : `before-xid:${deletedBy}`,
    database: optionText(options.database),
    timeline: optionInteger(options.timeline, { name: '--timeline', min: 1, max: 0xffff_ffff }),
    backupId: optionText(options.backup),
    workDirectory: optionText(options.dir),
    ...(deletedBy === undefined ? {} : { deletedBy }),
  }
}
