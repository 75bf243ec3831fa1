/** Every command as data: help, completion and `docs/cli.md` come from here. What a command does is in `loaders.ts`. */
import type { CommandDeclaration, CommandGroup, CommandOption } from './command.ts'
import { keyCommands } from './key-commands.ts'
import { retentionCommands } from './retention-commands.ts'

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
  { name: 'restore', summary: 'bring a cluster back: plan, then apply' },
  { name: 'repo', summary: 'the repository itself: its size, its soundness, the places where it is kept' },
  { name: 'retention', summary: 'what is kept: try a policy, hold a backup' },
  { name: 'keys', summary: 'who can open the repository' },
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
    options: [{ flags: '--timeout <seconds>', description: 'time limit of each check (default 10)' }],
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
    examples: [
      { command: 'retake backups', note: 'newest last' },
      { command: 'retake backups --json', note: 'for machines' },
      { command: 'retake backups --cluster billing', note: 'of another cluster' },
    ],
  },
  {
    path: ['window'],
    summary: 'show which moments can be restored, with gaps',
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
      'Runs until it is stopped (Ctrl-C or SIGTERM: exit status 0) or has reached what --until-… says. Reconnects by itself.',
    examples: [
      { command: 'retake wal receive', note: 'run this as a service' },
      {
        command: 'retake wal receive --synchronous',
        note: 'as a synchronous standby: no committed transaction is ever lost',
      },
      { command: 'retake wal receive --until-caught-up', note: 'fetch what there is, then end' },
    ],
    options: [
      { flags: '--synchronous', description: 'acknowledge each write at once, to serve in synchronous_standby_names' },
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
  {
    path: ['status'],
    summary: 'last backup, window, archive position, RPO now, slot, receiver, gaps',
    details: 'Exit status 40 when recovery is endangered; the reasons are listed.',
    examples: [
      { command: 'retake status', note: 'for people' },
      { command: 'retake status --json', note: 'for machines' },
      { command: 'retake status || echo "look at the backups"', note: 'in a script' },
    ],
  },
  {
    path: ['repo', 'mirrors'],
    summary: 'list the copies of the repository, who is primary, and how far each is behind',
    details: 'Exit status 40 when a copy is not current. The copies are configured as `mirrors`.',
    examples: [
      { command: 'retake repo mirrors', note: 'state and lag of each copy, in objects, bytes and seconds' },
      { command: "retake repo mirrors --json | jq '.copies[] | {name, state, lag}'", note: 'for machines' },
      { command: 'retake repo mirrors --forget north', note: 'give a copy up: deletions do not wait for it any more' },
    ],
    options: [{ flags: '--forget <name>', description: 'give this copy up; what is stored there stays' }],
  },
  {
    path: ['repo', 'sync'],
    summary: 'bring copies that are behind up to date; they then hold everything again',
    details:
      'What either copy lacks is copied to the other; nothing is deleted because it is missing elsewhere. `retake wal receive` does the same by itself.',
    examples: [
      { command: 'retake repo sync', note: 'once' },
      { command: 'retake repo sync --follow', note: 'run this as a service where no receiver runs' },
      { command: 'retake repo sync --set-up', note: 'also begin mirrors whose place is still empty' },
    ],
    options: [
      { flags: '--follow', description: 'go on until stopped (Ctrl-C or SIGTERM)' },
      { flags: '--copy <name>', description: 'only this copy' },
      { flags: '--set-up', description: 'begin copies whose place is still empty' },
      { flags: '--full', description: 'compare the beginning of every object, not only of what can differ' },
    ],
  },
  {
    path: ['repo', 'heal'],
    summary: 'replace what is damaged or missing in one copy from another in which it is whole',
    details: 'Damaged bytes are kept below copies/damaged/. Exit status 30 when something is damaged in every copy.',
    examples: [
      { command: 'retake repo heal', note: 'what a quick verification of each copy finds' },
      { command: 'retake repo heal --deep', note: 'read every byte of every copy' },
      { command: 'retake repo heal --copy north --dry-run', note: 'say what would be done to one copy' },
    ],
    options: [
      { flags: '--copy <name>', description: 'only this copy' },
      { flags: '--deep', description: 'look for damage in every byte' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['repo', 'primary'],
    summary: 'make a copy the primary one',
    details: 'A copy that is behind catches up first. Running it again is harmless; running processes follow.',
    examples: [
      { command: 'retake repo primary north', note: 'switch; `retake repo primary origin` switches back' },
      { command: 'retake repo primary north --dry-run', note: 'say whether it would change anything' },
      {
        command: 'retake repo primary north --even-if-behind',
        note: 'the place of the others is lost: go on with what this copy holds',
      },
    ],
    arguments: [{ name: 'name', description: 'the copy, as in `retake repo mirrors`', required: true }],
    options: [
      { flags: '--even-if-behind', description: 'although copies that hold more cannot be reached' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 'list'],
    summary: 'list the keys that open the repository',
    examples: [
      { command: 'retake keys list', note: 'label, kind and when it was added' },
      { command: 'retake keys list --json', note: 'for machines' },
      { command: 'retake keys list --repo /var/lib/retake', note: 'of another repository' },
    ],
  },
  {
    path: ['keys', 'kit'],
    summary: 'add a key written as a recovery kit, to print and lock away',
    details: 'To try that the kit opens the repository: RETAKE_KEY_FILE=kit.txt retake keys list',
    examples: [
      { command: 'retake keys kit kit.txt', note: 'make the kit, print it, delete the file' },
      { command: 'retake keys kit kit.txt --label "office safe"', note: 'with a label' },
      { command: 'retake keys kit /media/stick/kit.txt', note: 'straight onto a stick' },
    ],
    arguments: [{ name: 'file', description: 'the new file to write the kit to', required: true, completes: 'file' }],
    options: [{ flags: '--label <text>', description: 'a name for this key (default: recovery kit)' }],
  },
  ...keyCommands,
  {
    path: ['repo', 'stats'],
    summary: 'how much is stored, of what, and what compression and sharing save',
    examples: [
      { command: 'retake repo stats', note: 'by kind and by cluster' },
      { command: 'retake repo stats --sharing', note: 'also read every manifest: what backups share' },
      { command: 'retake repo stats --json', note: 'for machines' },
    ],
    options: [{ flags: '--sharing', description: 'read every manifest, to say what sharing between backups saves' }],
  },
  {
    path: ['repo', 'check'],
    summary: 'a quick check of the structure, without reading packs or WAL segments',
    details: 'Exit status 30 when damage was found. It says what it does not check; `retake verify` does that.',
    examples: [
      { command: 'retake repo check', note: 'names, receipts, manifests, packs by their size, WAL without holes' },
      { command: 'retake repo check --json --quiet', note: 'from a timer' },
      { command: 'retake repo check --repo /mnt/copy', note: 'of a copy' },
    ],
  },
  {
    path: ['repo', 'rebuild'],
    summary: 'write again what can be told from what is left',
    details:
      'Records of backups, receipts of keys, holes in the WAL, the WAL position. Never invents; says what cannot be rebuilt (exit status 30).',
    examples: [
      { command: 'retake repo rebuild --dry-run', note: 'the plan' },
      { command: 'retake repo rebuild', note: 'write it, with backups and receivers kept out' },
      { command: 'retake repo rebuild --json', note: 'for machines' },
    ],
    options: [{ flags: '--dry-run', description: 'say what would be written, and write nothing' }],
  },
  {
    path: ['repo', 'copy'],
    summary: 'copy the repository, or one cluster, to another place',
    details: 'Sealed as it is: the same keys open the copy. Interrupted, or later, the same command goes on.',
    examples: [
      { command: 'retake repo copy /mnt/second/retake', note: 'everything' },
      { command: 'retake repo copy /mnt/second/retake --only-cluster billing', note: 'one cluster' },
      { command: 'retake repo copy /mnt/second/retake --dry-run', note: 'how much it would be' },
    ],
    arguments: [
      { name: 'to', description: 'an empty place, or an earlier copy', required: true, completes: 'directory' },
    ],
    options: [
      { flags: '--only-cluster <name>', description: 'one cluster (default: all)' },
      { flags: '--dry-run', description: 'say what would be copied, and copy nothing' },
    ],
  },
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
