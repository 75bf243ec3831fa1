/** What the commands about single tables share: their options, and what they mean. */
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

const EXAMPLE = 'Such as: retake restore table shop.reviews --at 2026-11-22T09:04:00Z'

/** @throws RetakeError `config.invalid` */
export function tablesAt({ args, options }: CommandContext): TablesAtOptions {
  return {
    tables: args.filter((table) => table !== undefined),
    at: requireOption(options.at, { name: '--at', hint: EXAMPLE }),
    database: optionText(options.database),
    timeline: optionInteger(options.timeline, { name: '--timeline', min: 1, max: 0xffff_ffff }),
    backupId: optionText(options.backup),
    workDirectory: optionText(options.dir),
  }
}
