/** The commands of `retake drill`, as data; a part of `command-table.ts`. */
import type { CommandDeclaration } from './command.ts'

export const drillCommands: readonly CommandDeclaration[] = [
  {
    path: ['drill', 'run'],
    summary: 'rehearse a recovery: bring a moment back in a sandbox, look at it, throw it away',
    details:
      'The server to protect is not touched, and the sandbox is cut off from everything. What was found is put on record in the repository, also when it failed or was stopped. Exit status 31 when it failed, 32 when it could not be carried out on this machine.',
    examples: [
      { command: 'retake drill run', note: 'a moment at random, out of all that can be recovered' },
      { command: 'retake drill run --at latest --deep', note: 'the newest one, and every row and index is read' },
      { command: 'retake drill run --dir /srv/drills --max-disk 200', note: 'where there is room, within 200 GB' },
    ],
    options: [
      {
        flags: '--at <target>',
        description:
          'what to bring back: an instant with offset, lsn:X/Y, xid:N, before-xid:N, name:POINT or latest (default: a moment at random)',
      },
      { flags: '--random', description: 'a moment at random; the default' },
      { flags: '--deep', description: 'also read every row, and look each one up in its indexes' },
      {
        flags: '--dir <dir>',
        description: 'where the sandbox is made (default: drillDirectory, else that for temporary files)',
        completes: 'directory',
      },
      { flags: '--keep', description: 'leave the recovered files, with their server stopped' },
      { flags: '--role <name>', description: 'a role that exists in the cluster, where it is not the configured one' },
      { flags: '--max-disk <gigabytes>', description: 'do not begin when it needs more' },
      { flags: '--time-limit <hours>', description: 'end it then; it has failed (default 6)' },
    ],
  },
  {
    path: ['drill', 'list'],
    summary: 'the drills on record, newest first',
    examples: [
      { command: 'retake drill list', note: 'the last twenty' },
      { command: 'retake drill list --limit 500', note: 'all that are kept' },
      { command: 'retake drill list --json | jq \'.drills[] | select(.outcome == "failed")\'', note: 'for machines' },
    ],
    options: [{ flags: '--limit <n>', description: 'how many (default 20)' }],
  },
  {
    path: ['drill', 'show'],
    summary: 'one drill: what was recovered, how long each phase took, what the checks found',
    examples: [
      { command: 'retake drill show', note: 'the last one' },
      { command: 'retake drill show 20261122T090411Z-1f2e3d4c', note: 'by its id, from retake drill list' },
      { command: "retake drill show --json | jq '.drill.phases'", note: 'for machines' },
    ],
    arguments: [{ name: 'drill', description: 'the id of the drill (default: the last one)' }],
  },
]
