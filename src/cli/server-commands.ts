/** `retake serve`, and what it does regularly. */
import type { CommandDeclaration } from './command.ts'

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
        command: 'DATABASE_URL=postgres://retake@control.internal/retake retake serve',
        note: 'one of several servers that share the work',
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
    path: ['schedules'],
    summary: 'what is done regularly: whether it came, and when it is due next',
    details:
      'Reads `schedules` of the configuration, and proposes some where there are none. Exit status 40 when the newest run of a schedule is late, failed or was missed; 41 when that cannot be told. With --systemd nothing is judged: timers and services are printed, for running the schedules without a server.',
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
    ],
  },
]
