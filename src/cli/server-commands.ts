/** `retake serve`, and what it does regularly. */
import type { CommandDeclaration, CommandOption } from './command.ts'
import { serverOptions, serverOrLocalOptions } from './server-client-options.ts'

const personOptions: readonly CommandOption[] = [
  { flags: '--by <name>', description: 'who (default: the user)' },
  { flags: '--note <text>', description: 'what others should know' },
]

export const serverCommands: readonly CommandDeclaration[] = [
  {
    path: ['serve'],
    summary: 'look after clusters: receive WAL, keep schedules, look at their health',
    details:
      'Runs until it is stopped. The first SIGTERM ends it in order: nothing new is begun, and what runs has its time of grace; what is not done then goes on with the next start, or on another server. Its own data is in a directory of this machine, or in the PostgreSQL that DATABASE_URL names, which several servers may share.',
    examples: [
      { command: 'retake serve', note: 'one cluster, by its usual configuration' },
      {
        command: 'retake serve --server-config /etc/retake/retake.server.yaml',
        note: 'several; see docs/server.md',
      },
      {
        command: 'retake serve',
        note: 'with DATABASE_URL set: one of several servers that share the work',
      },
    ],
    options: [
      {
        flags: '--server-config <file>',
        description: 'the configuration of the server (default: retake.server.yaml here, if there is one)',
        completes: 'file',
      },
      { flags: '--listen <address>', description: 'where it is reached (default: 127.0.0.1:7420)' },
      {
        flags: '--data <dir>',
        description:
          "the server's own data (default: $STATE_DIRECTORY, /var/lib/retake/server, or ~/.local/state/retake)",
        completes: 'directory',
      },
    ],
  },
  {
    path: ['alerts', 'list'],
    summary: 'what is wrong, as the server has found it',
    details: 'Asks a running server (retake serve). Exit status 40 when something critical is not resolved.',
    examples: [
      {
        command: 'retake alerts list --server-token-file /var/lib/retake/server/token',
        note: 'what nobody has resolved',
      },
      { command: 'retake alerts list --cluster main --all', note: 'of one cluster, with the past' },
      { command: 'retake alerts list --server https://retake.example.org --json', note: 'elsewhere, for machines' },
    ],
    options: [
      { flags: '--all', description: 'also what is resolved, and what has not held for long enough' },
      ...serverOptions,
    ],
  },
  {
    path: ['alerts', 'ack'],
    summary: 'take care of an alert: escalation waits for an hour',
    examples: [
      { command: 'retake alerts ack backup-late-0123456789abcdef', note: 'its key is in the list' },
      { command: 'retake alerts ack backup-late-0123456789abcdef --by ada', note: 'for somebody else' },
      {
        command: 'retake alerts ack disk-low-0123456789abcdef --note "disk ordered"',
        note: 'with what others should know',
      },
    ],
    arguments: [{ name: 'key', description: 'which alert', required: true }],
    options: [...personOptions, ...serverOptions],
  },
  {
    path: ['alerts', 'snooze'],
    summary: 'tell nobody of an alert for a while',
    examples: [
      { command: 'retake alerts snooze disk-low-0123456789abcdef', note: 'for an hour' },
      { command: 'retake alerts snooze disk-low-0123456789abcdef --minutes 120', note: 'for two' },
      { command: 'retake alerts snooze disk-low-0123456789abcdef --note "disk ordered"', note: 'with the reason' },
    ],
    arguments: [{ name: 'key', description: 'which alert', required: true }],
    options: [
      { flags: '--minutes <count>', description: 'for so long, at most a week (default 60)' },
      ...personOptions,
      ...serverOptions,
    ],
  },
  {
    path: ['alerts', 'channels'],
    summary: 'the ways to people: whether each works, and when that was proven',
    details: 'Exit status 40 when one fails.',
    examples: [
      { command: 'retake alerts channels', note: 'with the last delivery, failure and canary of each' },
      { command: 'retake alerts channels --json', note: 'for machines' },
      { command: 'retake alerts channels --server https://retake.example.org', note: 'elsewhere' },
    ],
    options: serverOptions,
  },
  {
    path: ['alerts', 'test'],
    summary: 'send a harmless notice at once, and say what came of it',
    examples: [
      { command: 'retake alerts test', note: 'through every channel' },
      { command: 'retake alerts test team-mail', note: 'through one' },
      { command: 'retake alerts test --json', note: 'for machines' },
    ],
    arguments: [{ name: 'channel', description: 'only this one' }],
    options: serverOptions,
  },
  {
    path: ['alerts', 'canary'],
    summary: 'ask people whether notices arrive: each confirms with the code that comes',
    details:
      'The server does the same each week. Until a channel that is told first of alerts was confirmed, the health score lacks the points of the alert path.',
    examples: [
      { command: 'retake alerts canary', note: 'through every channel' },
      { command: 'retake alerts canary team-mail', note: 'through one; then retake alerts confirm CODE' },
      { command: 'retake alerts canary --json', note: 'for machines' },
    ],
    arguments: [{ name: 'channel', description: 'only this one' }],
    options: serverOptions,
  },
  {
    path: ['alerts', 'confirm'],
    summary: 'say that a canary came: proves the channel that it came through',
    examples: [
      { command: 'retake alerts confirm K7QM-2FXP', note: 'the code stands in the message' },
      { command: 'retake alerts confirm K7QM-2FXP --by ada', note: 'read by somebody else' },
      { command: 'retake alerts confirm k7qm2fxp', note: 'however it is typed' },
    ],
    arguments: [{ name: 'code', description: 'as it stands in the message', required: true }],
    options: [{ flags: '--by <name>', description: 'who has read it (default: the user)' }, ...serverOptions],
  },
  {
    path: ['schedules'],
    summary: 'what is done regularly: whether it came, and when it is due next',
    details:
      'Asks the server of Retake (retake serve) where one is known; elsewhere it reads `schedules` of the configuration, and proposes some where there are none. The last line says which. Exit status 40 when the newest run of a schedule is late, failed or was missed; 41 when that cannot be told. With --systemd nothing is judged: timers and services are printed, for running the schedules without a server.',
    examples: [
      { command: 'retake schedules', note: 'each with its last run and the next five' },
      { command: 'retake schedules --json | jq .verdict', note: 'for machines' },
      { command: 'retake schedules --systemd', note: 'look at the units' },
      {
        command: 'retake schedules --systemd --out /etc/systemd/system',
        note: 'write them; then systemctl daemon-reload, and enable the timers',
      },
    ],
    options: [
      { flags: '--next <count>', description: 'how many runs to come are shown (default 5)' },
      { flags: '--systemd', description: 'print the schedules as services and timers of systemd' },
      {
        flags: '--out <dir>',
        description: 'with --systemd: write each unit into this directory',
        completes: 'directory',
      },
      ...serverOrLocalOptions,
    ],
  },
]
