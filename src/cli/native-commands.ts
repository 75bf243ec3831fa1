/** The commands of `retake native`, as data. */
import type { CommandDeclaration } from './command.ts'

export const nativeCommands: readonly CommandDeclaration[] = [
  {
    path: ['native', 'plan'],
    summary: 'say what a restore by Supabase would do to the configured project; nothing is changed',
    details:
      'Needs point-in-time recovery at Supabase, `supabaseProject` and a management token. The target is an instant; Supabase knows whole seconds only.',
    examples: [
      {
        command: 'retake native plan --at 2026-11-22T09:04:11Z --out plan.json',
        note: 'one moment, kept as a file to apply',
      },
      { command: 'retake native plan --at 2026-11-22T10:04:11+01:00', note: 'only look' },
      { command: 'retake native plan --at 2026-11-22T09:04:11Z --json', note: 'for machines' },
    ],
    options: [
      { flags: '--at <target>', description: 'where to recover to: an instant with offset' },
      { flags: '--out <file>', description: 'write the plan to this file', completes: 'file' },
    ],
  },
  {
    path: ['native', 'apply'],
    summary: 'have Supabase restore the project IN PLACE, as planned, and follow it to the end',
    details:
      'The project is overwritten and down meanwhile; there is no way back. The order is sent once: it is noted beside the plan (`plan.json.….order`) before. When this command is stopped or killed, the restore goes on; the same command follows it again and orders nothing. A plan is good for 15 minutes. Exit status 23 without the confirmation, 22 when it is refused, 1 when it failed or nobody can say whether it ran.',
    examples: [
      { command: 'retake native apply plan.json', note: 'asks for the reference of the project, then follows' },
      {
        command: 'retake native apply plan.json --confirm abcdefghijklmnopqrst --no-input',
        note: 'from a script',
      },
      { command: 'retake native apply plan.json --dry-run', note: 'check the plan once more' },
    ],
    arguments: [
      { name: 'plan', description: 'a file made by `retake native plan --out`', required: true, completes: 'file' },
    ],
    options: [
      { flags: '--confirm <ref>', description: 'the reference of the project that is overwritten' },
      { flags: '--poll <seconds>', description: 'how often to look how far it is (default 10)' },
      { flags: '--dry-run', description: 'check the plan, and order nothing' },
    ],
  },
]
