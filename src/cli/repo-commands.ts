/** The commands about the repository itself, as data; part of the table in `command-table.ts`. */
import type { CommandDeclaration } from './command.ts'

export const repoCommands: readonly CommandDeclaration[] = [
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
]
