/** Every command as data: help, completion and `docs/cli.md` come from here. What a command does is in `loaders.ts`. */
import type { CommandDeclaration, CommandGroup, CommandOption } from './command.ts'
import { drillCommands } from './drill-commands.ts'
import { journalCommands } from './journal-commands.ts'
import { keyCommands } from './key-commands.ts'
import { nativeCommands } from './native-commands.ts'
import { repoCommands } from './repo-commands.ts'
import { retentionCommands } from './retention-commands.ts'
import { serverOrLocalOptions } from './server-client-options.ts'
import { serverCommands } from './server-commands.ts'
import { tableCommands } from './table-commands.ts'

const at: CommandOption = {
  flags: '--at <target>',
  description: 'where to recover to: an instant with offset, lsn:X/Y, xid:N, before-xid:N, name:POINT or latest',
}

const restoreOptions: readonly CommandOption[] = [
  at,
  { flags: '--to <dir>', description: 'the new data directory; must be absent or empty', completes: 'directory' },
  { flags: '--delta', description: 'change the data directory that is there: only what differs is fetched' },
  {
    flags: '--undo-dir <dir>',
    description: 'with --delta: first copy the directory, as it is, to this new place',
    completes: 'directory',
  },
  { flags: '--no-undo', description: 'with --delta: keep nothing of what the directory holds now' },
  { flags: '--port <n>', description: 'the port of the recovered server (default: a free one)' },
  { flags: '--backup <id>', description: 'the backup to begin from (default: the newest before the target)' },
  { flags: '--timeline <n>', description: 'the timeline to follow (default: the newest that holds the target)' },
  {
    flags: '--then <action>',
    description: 'at the target: promote (default), pause or shutdown',
    choices: ['promote', 'pause', 'shutdown'],
  },
  { flags: '--no-start', description: 'only lay the files out; you start the server' },
  {
    flags: '--tablespace-map <old=new>',
    description: 'where a tablespace goes, as old location=new directory',
    repeatable: true,
  },
  { flags: '--set <name=value>', description: 'a setting of the recovered server', repeatable: true },
]

export const commandGroups: readonly CommandGroup[] = [
  { name: 'wal', summary: 'receive and fetch the write-ahead log' },
  { name: 'drill', summary: 'rehearse a recovery, and what rehearsals have shown' },
  { name: 'journal', summary: 'what happened in the WAL, stored' },
  { name: 'restore', summary: 'bring a cluster back (plan, then apply), or single tables' },
  { name: 'repo', summary: 'the repository itself: its size, its soundness, the places where it is kept' },
  { name: 'retention', summary: 'what is kept: try a policy, hold a backup' },
  { name: 'keys', summary: 'who can open the repository' },
  { name: 'alerts', summary: 'what a running server has found wrong, and who takes care of it' },
  { name: 'native', summary: 'have Supabase restore its project in place: plan, then apply' },
]

export const commands: readonly CommandDeclaration[] = [
  {
    path: ['demo'],
    summary: 'the whole story on a PostgreSQL of its own: protect, disaster, recover, prove',
    examples: [
      { command: 'retake demo', note: 'the story with a random disaster, about a minute' },
      { command: 'retake demo --disaster drop-table', note: 'choose the disaster' },
      { command: 'retake demo --keep', note: 'leave the recovered server running to play with' },
    ],
    options: [
      {
        flags: '--disaster <kind>',
        description: 'what goes wrong',
        choices: ['delete-rows', 'drop-table', 'lose-server'],
      },
      { flags: '--keep', description: 'leave the servers, the repository and the evidence in place' },
    ],
  },
  {
    path: ['init'],
    summary: 'set up a repository and register a cluster with it; running it again is harmless',
    examples: [
      {
        command: 'retake init --repo /var/lib/retake --new-key /etc/retake/key --recovery-kit kit.txt',
        note: 'a new repository, its key and a kit to print; the server is RETAKE_DATABASE_URL or PG*',
      },
      { command: 'retake init --cluster billing', note: 'register another cluster with the configured repository' },
      { command: 'retake init --dry-run', note: 'say what would be done' },
    ],
    options: [
      { flags: '--new-key <file>', description: 'make a key and write it to this new file', completes: 'file' },
      {
        flags: '--recovery-kit <file>',
        description: 'make a second key, written with instructions to this new file, to print',
        completes: 'file',
      },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['doctor'],
    summary: 'check server, repository and machine, and print the exact fix for what is wrong',
    details: 'Exit status 40 when a check failed. Warnings do not fail.',
    examples: [
      { command: 'retake doctor', note: 'every check' },
      { command: 'retake doctor --json | jq \'.checks[] | select(.state == "failed")\'', note: 'for machines' },
      { command: 'retake doctor --timeout 5', note: 'give each check five seconds' },
    ],
    options: [
      { flags: '--timeout <seconds>', description: 'time limit of each check (default 10)' },
      {
        flags: '--spool <directory>',
        description: 'also look at the spool of a receiver (default: RETAKE_SPOOL)',
        completes: 'directory',
      },
    ],
  },
  {
    path: ['backup'],
    summary: 'make a backup of the cluster',
    details:
      'The first is a full one; later ones store only what changed and are complete by themselves nevertheless. When no receiver is running, the WAL that the backup needs is received too, so that it can be restored.',
    examples: [
      { command: 'retake backup', note: 'now' },
      { command: 'retake backup --label before-upgrade', note: 'with a name to find it by' },
      { command: 'retake backup --type full', note: 'read and compare everything, trusting no earlier backup' },
      {
        command: 'retake backup --via replication',
        note: 'let the server send its files, though they could be read here',
      },
      { command: 'retake backup --json --quiet', note: 'from a timer' },
    ],
    options: [
      {
        flags: '--type <type>',
        description: 'full, or incremental (default, where it is possible)',
        choices: ['full', 'incremental'],
      },
      { flags: '--label <text>', description: 'a name to find it by' },
      {
        flags: '--request <id>',
        description: 'what asks for it, such as a job and its date: asked again, no second backup is made',
      },
      {
        flags: '--via <way>',
        description:
          'files reads them here, replication has the server send them (default: files where that is possible)',
        choices: ['replication', 'files'],
      },
    ],
  },
  {
    path: ['backups'],
    summary: 'list the backups',
    details: 'Where `supabaseProject` is configured, those that Supabase itself makes stand below.',
    examples: [
      { command: 'retake backups', note: 'newest last' },
      { command: 'retake backups --json', note: 'for machines' },
      { command: 'retake backups --cluster billing', note: 'of another cluster' },
    ],
  },
  {
    path: ['window'],
    summary: 'show which moments can be restored, with gaps',
    details: 'Where `supabaseProject` is configured, what Supabase itself can restore stands below.',
    examples: [
      { command: 'retake window', note: 'the ranges' },
      { command: 'retake window --json', note: 'for machines' },
      { command: 'retake window --cluster billing', note: 'of another cluster' },
    ],
  },
  {
    path: ['verify'],
    summary: 'read the repository back and name what is damaged and what it costs',
    details: 'Exit status 30 when damage was found.',
    examples: [
      { command: 'retake verify', note: 'every object is there and authentic' },
      { command: 'retake verify --deep', note: 'also decode everything, with page checksums and content hashes' },
      { command: 'retake verify 20261122T090411Z-1f2e3d4c', note: 'one backup' },
    ],
    arguments: [{ name: 'backup', description: 'the id of a backup (default: all, and the WAL)' }],
    options: [
      { flags: '--deep', description: 'read and check every byte' },
      { flags: '--copy <name>', description: 'which copy of a repository with mirrors (default: the primary)' },
    ],
  },
  ...retentionCommands,
  {
    path: ['wal', 'receive'],
    summary: 'receive WAL continuously; what is acknowledged is durable',
    details:
      'Runs until it is stopped (Ctrl-C or SIGTERM: exit status 0) or has reached what --until-… says. Reconnects by itself. With --acknowledge local the server forgets WAL before the bucket has it: if this machine or its spool is lost, up to 17 MiB of acknowledged WAL are lost with it.',
    examples: [
      { command: 'retake wal receive', note: 'run this as a service' },
      {
        command: 'retake wal receive --synchronous',
        note: 'as a synchronous standby: no committed transaction is ever lost',
      },
      { command: 'retake wal receive --until-caught-up', note: 'fetch what there is, then end' },
      {
        command: 'retake wal receive --acknowledge local --spool /var/lib/retake/spool',
        note: 'into a bucket, without waiting for it',
      },
    ],
    options: [
      { flags: '--synchronous', description: 'acknowledge each write at once, to serve in synchronous_standby_names' },
      {
        flags: '--acknowledge <when>',
        description:
          'when WAL counts as safe: the repository holds it (upload, the default), or the spool does (local)',
        choices: ['upload', 'local'],
      },
      {
        flags: '--spool <directory>',
        description:
          'with --acknowledge local: where WAL is kept until it is uploaded; the same one at every start (default: RETAKE_SPOOL)',
        completes: 'directory',
      },
      { flags: '--until-caught-up', description: 'end when everything the server had at the start is held' },
      { flags: '--until-lsn <lsn>', description: 'end when this position is held' },
    ],
  },
  {
    path: ['wal', 'get'],
    summary: 'fetch one WAL segment or history file, as a restore_command',
    details:
      'Exit status 0: delivered. 1: certainly not in the repository. 126 or more: failed, and PostgreSQL stops instead of ending recovery early.',
    examples: [
      { command: "restore_command = 'retake wal get %f %p'", note: 'in postgresql.conf' },
      { command: 'retake wal get 000000010000000000000003 ./segment', note: 'by hand' },
      { command: 'retake wal get 00000002.history ./history', note: 'a timeline history' },
    ],
    arguments: [
      { name: 'name', description: 'the name PostgreSQL asks for (%f)', required: true },
      { name: 'file', description: 'where to write it (%p)', required: true, completes: 'file' },
    ],
  },
  {
    path: ['restore', 'plan'],
    summary: 'say what a restore would do: backup, WAL, bytes, time, checks',
    details: 'Exit status 22 when a check would refuse the restore; the plan is printed all the same.',
    examples: [
      { command: 'retake restore plan --at latest --to /srv/restored', note: 'the newest state' },
      {
        command: 'retake restore plan --at 2026-11-22T09:04:11.482Z --to /srv/restored --out plan.json',
        note: 'one moment, kept as a file',
      },
      { command: 'retake restore plan --at before-xid:812 --to /srv/restored', note: 'just before a transaction' },
    ],
    options: [
      ...restoreOptions,
      { flags: '--out <file>', description: 'write the plan to this file', completes: 'file' },
    ],
  },
  {
    path: ['restore', 'apply'],
    summary: 'restore into a new directory, replay to the target, start the server',
    examples: [
      { command: 'retake restore apply plan.json', note: 'exactly the plan that was shown' },
      { command: 'retake restore apply --at latest --to /srv/restored', note: 'plan and apply in one go' },
      {
        command: 'retake restore apply --at name:before_deploy --to /srv/restored --then pause',
        note: 'look before it is promoted',
      },
      {
        command: 'retake restore apply --at latest --delta --to /srv/data --undo-dir /srv/data.before --confirm data',
        note: 'put right the directory that is there, and keep what it was',
      },
    ],
    arguments: [{ name: 'plan', description: 'a file made by `retake restore plan --out`', completes: 'file' }],
    options: [
      ...restoreOptions,
      { flags: '--confirm <name>', description: 'with --delta: the name of the directory that is changed in place' },
      { flags: '--dry-run', description: 'plan and check, and write nothing' },
    ],
  },
  ...tableCommands,
  {
    path: ['status'],
    summary: 'last backup, window, archive position, RPO now, slot, receiver, gaps',
    details:
      'Asks the server of Retake (retake serve) where one is known, and looks by itself elsewhere; the last line says which. Exit status 40 when recovery is endangered; the reasons are listed.',
    examples: [
      { command: 'retake status', note: 'for people' },
      { command: 'retake status --json', note: 'for machines' },
      { command: 'retake status || echo "look at the backups"', note: 'in a script' },
      { command: 'retake status --server https://retake.example.org', note: 'as the server sees it' },
    ],
    options: serverOrLocalOptions,
  },
  {
    path: ['health'],
    summary: 'checks, and a score from 0 to 100 with the reason and the fix for each lost point',
    details:
      'Exit status 40 when a check failed that endangers recovery, or the score is below --fail-under; 41 when a check or the score is unknown. A check that does not answer in time is unknown, never passed.',
    examples: [
      { command: 'retake health', note: 'score, checks, objectives, and what to do first' },
      { command: 'retake health --json > last.json', note: 'for machines, and to compare with' },
      { command: 'retake health --earlier last.json', note: 'growth since then; exact while nobody works' },
      { command: 'retake health --quiet --fail-under 70', note: 'from a timer; the exit status tells' },
    ],
    options: [
      {
        flags: '--timeout <seconds>',
        description: 'time limit of each check (default 10; three times as much for those that list the repository)',
      },
      {
        flags: '--earlier <file>',
        description: 'the output of an earlier `retake health --json` to compare with',
        completes: 'file',
      },
      { flags: '--fail-under <score>', description: 'also fail when the score is below this' },
    ],
  },
  {
    path: ['checklist'],
    summary: 'the ten points that recovery is rehearsed by: which are proven, and what is left to a person',
    details:
      'Answered by the checks of retake health, by a server of Retake (retake serve) where one is known: whether notices reach people is known to a server only. Exit status 40 when a point failed, 41 when one is unknown.',
    examples: [
      { command: 'retake checklist', note: 'for people' },
      { command: 'retake checklist --json', note: 'for machines' },
      { command: 'retake checklist --server https://retake.example.org', note: 'as the server sees it' },
    ],
    options: [
      ...serverOrLocalOptions,
      {
        flags: '--timeout <seconds>',
        description: 'time limit of each check, where no server is asked (default 10)',
      },
    ],
  },
  {
    path: ['metrics'],
    summary: 'what status and health measure, for Prometheus',
    details:
      'Exit status 0 also when what was measured is bad: the metrics say so, and alert rules wake somebody. What is unknown is absent.',
    examples: [
      {
        command: 'retake metrics --out /var/lib/prometheus/node-exporter/retake.prom',
        note: "from a timer, for node_exporter's textfile collector",
      },
      { command: 'retake metrics', note: 'on stdout' },
      { command: 'retake metrics --openmetrics', note: 'as OpenMetrics 1.0' },
      {
        command: 'retake metrics --out retake.prom --observation /var/lib/retake/last.json',
        note: 'also compare with the last time: rates, and exactness while nobody works',
      },
    ],
    options: [
      { flags: '--out <file>', description: 'write to this file, replaced in one step', completes: 'file' },
      { flags: '--openmetrics', description: 'OpenMetrics 1.0 instead of the Prometheus text format 0.0.4' },
      {
        flags: '--observation <file>',
        description: 'what the last look saw of the server: compared with when it is there, and written anew',
        completes: 'file',
      },
      {
        flags: '--backups <n>',
        description: 'how many backups have metrics of their own, the newest (default 100); counts are of all',
      },
      {
        flags: '--timeout <seconds>',
        description: 'time limit of each check (default 10; three times as much for those that list the repository)',
      },
    ],
  },
  ...serverCommands,
  ...repoCommands,
  ...keyCommands,
  ...drillCommands,
  ...journalCommands,
  ...nativeCommands,
  {
    path: ['completion'],
    summary: 'print a completion script for a shell',
    examples: [
      { command: 'source <(retake completion bash)', note: 'bash, this session; put it into ~/.bashrc to keep it' },
      { command: 'retake completion zsh > "$fpath[1]/_retake"', note: 'zsh' },
      { command: 'retake completion fish > ~/.config/fish/completions/retake.fish', note: 'fish' },
    ],
    arguments: [{ name: 'shell', description: 'the shell', required: true, choices: ['bash', 'zsh', 'fish'] }],
  },
]

/** Taken by every command, beside the options of `engine/config-options.ts` that have a flag. */
export const globalOptions: readonly CommandOption[] = [
  {
    flags: '--config <file>',
    description: 'the configuration file (RETAKE_CONFIG; default: retake.config.yaml here)',
    completes: 'file',
  },
  { flags: '--json', description: 'print one JSON object on stdout' },
  { flags: '--no-input', description: 'never ask; fail when an answer would be needed' },
  { flags: '--no-color', description: 'no colour (NO_COLOR)' },
  { flags: '-q, --quiet', description: 'errors only on stderr' },
  { flags: '-v, --verbose', description: 'say more on stderr' },
]

export function commandName(declaration: CommandDeclaration): string {
  return `retake ${declaration.path.join(' ')}`
}
