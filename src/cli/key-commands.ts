/** The commands of `retake keys`, as data; a part of `command-table.ts`. */
import type { CommandDeclaration } from './command.ts'
import { newKeyOptions } from './new-key-flags.ts'

export const keyCommands: readonly CommandDeclaration[] = [
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
    options: [
      { flags: '--label <text>', description: 'a name for this key (default: recovery kit)' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 'status'],
    summary: 'who can open the repository, which keys seal what, and what to do about it',
    details: 'The key that opened the repository, and the epoch that seals what is new, are marked with *.',
    examples: [
      { command: 'retake keys status', note: 'keys, epochs, what is due' },
      { command: "retake keys status --json | jq '.recommendations'", note: 'for machines' },
      { command: 'RETAKE_KEY_ROTATION_DAYS=365 retake keys status', note: 'with a policy of one year' },
    ],
  },
  {
    path: ['keys', 'add'],
    summary: 'let another key open the repository; it is tried before it counts',
    details: 'Give exactly one source. A key never is an argument: arguments can be read by every user of the machine.',
    examples: [
      { command: 'retake keys add --new-key /etc/retake/key-2 --label "backup host"', note: 'a new key file' },
      { command: 'retake keys add --kms arn:aws:kms:eu-central-1:111122223333:key/ID', note: 'a key in AWS KMS' },
      { command: 'retake keys add --ask-passphrase --label team', note: 'a passphrase, asked for twice' },
      { command: 'retake keys add --recovery-kit kit.txt', note: 'a page to print' },
    ],
    options: [...newKeyOptions, { flags: '--label <text>', description: 'a name for this key' }],
  },
  {
    path: ['keys', 'remove'],
    summary: 'take a key away; what it opened before, its holder may have kept',
    details: 'The last key is never removed, and the last that is no recovery kit only with --force.',
    examples: [
      { command: 'retake keys remove 1f2e3d4c5b6a7988', note: 'by its id, from retake keys list' },
      { command: 'retake keys remove "old laptop"', note: 'by its label' },
      { command: 'retake keys remove "old laptop" --dry-run', note: 'say which it is' },
    ],
    arguments: [{ name: 'holder', description: 'the id or the label of a key', required: true }],
    options: [
      { flags: '--force', description: 'also when only recovery kits are left' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 'rotate'],
    summary: 'replace a key: --master one that people hold, --data the one that seals backups and WAL',
    details:
      '--master adds the new key, tries it, and only then removes the old one; cut short anywhere, the same command finishes. --data begins a new epoch: what is stored stays readable, and `retake keys re-encrypt` seals it anew.',
    examples: [
      { command: 'retake keys rotate --master --new-key /etc/retake/key-2027', note: 'the key in use' },
      { command: 'retake keys rotate --master --ask-passphrase --replaces team', note: 'another one' },
      { command: 'retake keys rotate --data', note: 'the data key of the cluster' },
      { command: 'retake keys rotate --if-due', note: 'the data key, when keyRotationDays have passed; from a timer' },
    ],
    options: [
      { flags: '--master', description: 'replace a key that opens the repository' },
      { flags: '--data', description: 'begin a new data key of the cluster' },
      ...newKeyOptions,
      { flags: '--replaces <holder>', description: 'the key to replace (default: the one in use)' },
      { flags: '--label <text>', description: 'a name for the new key' },
      { flags: '--if-due', description: 'only when keyRotationDays of the configuration have passed' },
      { flags: '--force', description: 'also when only recovery kits are left' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 're-encrypt'],
    summary: 'seal anew what older data keys of the cluster seal',
    details:
      'Runs beside backups, the receiver and restores. May be stopped and run again. What it replaces is deleted by `retake prune` after its time of grace, so it needs the space of the packs once more until then.',
    examples: [
      { command: 'retake keys re-encrypt --dry-run', note: 'say how much it is' },
      { command: 'retake keys re-encrypt --max-rate 50', note: 'at most 50 MiB a second' },
      { command: 'retake keys re-encrypt --cluster billing', note: 'another cluster' },
    ],
    options: [
      { flags: '--max-rate <mib>', description: 'read and write at most so many MiB a second' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 'retire'],
    summary: 'destroy older data keys that seal nothing any more, in two phases',
    details:
      'The first run announces it; one after the time of grace destroys the key. A key that seals something stays, also when that lies in the spool of a receiver.',
    examples: [
      { command: 'retake keys retire', note: 'announce, or destroy what was announced a week ago' },
      { command: 'retake keys retire --dry-run', note: 'say which, and why not' },
      { command: 'retake keys retire --grace-days 30', note: 'with more time for copies that are behind' },
    ],
    options: [
      { flags: '--grace-days <days>', description: 'between announcement and destruction (default 7)' },
      {
        flags: '--spool <directory>',
        description:
          'the spool of a receiver on this machine, which may still need an older key (default: RETAKE_SPOOL)',
        completes: 'directory',
      },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['keys', 'escrow-test'],
    summary: 'prove that the recovery kit restores: open with it alone, and read back a sample',
    details:
      'Uses the place of the repository and the kit, and no other key. What was proven is recorded and shown by `retake keys status`. Without a file the key is asked for; it never is an argument.',
    examples: [
      { command: 'retake keys escrow-test kit.txt', note: 'the text of the kit in a file' },
      { command: 'retake keys escrow-test', note: 'typed from the page' },
      {
        command: 'retake keys escrow-test - --full < kit.txt',
        note: 'restore every file into a directory that is removed',
      },
    ],
    arguments: [
      { name: 'kit', description: 'a file with the text of the kit, or - for standard input', completes: 'file' },
    ],
    options: [
      { flags: '--frames <n>', description: 'how many frames of each newest backup to read (default 64)' },
      { flags: '--full', description: 'restore every file of the newest backup of the cluster' },
      { flags: '--directory <dir>', description: 'where --full restores to, for a while', completes: 'directory' },
    ],
  },
  {
    path: ['keys', 'shred'],
    summary: 'destroy every data key of a cluster, so that nothing of it can ever be read again',
    details:
      'Final. Refused while a backup, a receiver, pruning or a restore of the cluster runs, and while any copy of the repository keeps a key (Object Lock, a legal hold) or cannot be asked. Leaves a proof in the repository.',
    examples: [
      { command: 'retake keys shred billing --dry-run', note: 'say what would be lost' },
      { command: 'retake keys shred billing --yes billing', note: 'do it' },
      { command: 'retake keys shred billing --yes billing --json > proof.json', note: 'and keep the proof' },
    ],
    arguments: [{ name: 'cluster', description: 'the name of the cluster', required: true }],
    options: [
      { flags: '--yes <name>', description: 'the name of the cluster once more, to confirm' },
      { flags: '--delete-objects', description: 'also delete what nobody can read any more' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
]
