/**
 * `npm run bench [-- --mib 1024 --repeat 3 --level 3 --major 15 --no-replay --no-increments --only-replay --write --short]`: full backup, restore and WAL replay,
 * side by side with pg_basebackup and, where they are installed, pgBackRest and restic. With `--write` the results go into `bench/README.md`.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { postgresMajors } from '../test/support/postgres.ts'
import { archiveDirectory, backupCases, type Case, restoreCases, runInterleaved, type Tools } from './cases.ts'
import { decodeCases } from './decode.ts'
import { deltaTables } from './delta.ts'
import { incrementTables } from './increments.ts'
import { bytesBelow, type Lab, openLab } from './lab.ts'
import { describeMachine } from './machine.ts'
import { findProgram, setUpPgBackRest } from './peers.ts'
import { prepareReplay, type ReplaySample } from './replay.ts'
import { median, renderTable, summarise } from './report.ts'
import { setUpRestic } from './restic.ts'
import { buildProgram, setUpRetake } from './retake.ts'
import { verifyCases } from './verify.ts'

/** Here and not in the document, so that the numbers and how they came about never part. */
const METHOD = `## Method

- The cases of a table run one after the other, round after round, so that whatever else the machine does falls on all alike. Before each: \`sync\`, and a file is written and removed, so that the page cache's memory need not be had from the host of a virtual machine.
- Retake runs as a user runs it, from the compiled package (\`retake backup\`, \`retake restore apply --no-start\`): process start, key, lease, WAL of the backup and receipt included, with as many workers as processors.
- pgBackRest: \`process-max\` = processors, the same zstd level, its cipher on, bundling on, page checksums on (its default), \`archive-check=n\`, \`start-fast=y\`.
- Each restore goes into a directory of its own, and all are removed at the end: ext4 is slow to make files just after many were removed.
- Delta restore: the directory was restored by the same tool just before, then 1 % of the pages of tables and indexes got another word in the middle; Retake with \`--no-undo\`, because pgBackRest keeps none. pgBackRest compares whole files by their checksum, Retake frames of 1 MiB.
- Increment: each tool has just taken its parent, then SQL wrote new versions of rows on 1 % of the pages of the largest tables, and a checkpoint was made. Stored is what the repository grew by, manifest and all, without WAL. \`retake wal receive\` runs beside it, as it does beside a server; pgBackRest's backup does not wait for its archive (\`archive-check=n\`). pgBackRest with block incremental where its version has it.
- restic takes the stream of \`pg_basebackup\` as one file, at its default compression. \`retake verify --deep\` decrypts and unpacks every frame and checks page checksums and content hashes; \`retake verify\` proves that every object is there and authentic; restic decrypts and hashes.
- pg_basebackup does not encrypt; it is there as a floor, as is \`cp\`.
- Wall: of the process. CPU: user and system time of it and its children; server CPU: what the processes of the server spent meanwhile (for Retake and pg_basebackup the server reads the files). Peak: the highest sum of resident memory over the processes of the tool, sampled every 50 ms; shared pages count for each process. MB = 10^6 bytes.
- One table: \`retake restore table --at latest --out\`, of a table of 20 MiB that nothing writes to, to a file with its rows; fetched of the backup without WAL, which is the same for all. The decoder runs from its sources, as one process; pg_waldump reads the same files.
- Everything is local: no network between tool, server and repository.
- The data is text with Zipf-distributed words, jsonb, uuid, numeric, timestamps and their indexes; it compresses about as well as that of real applications, and far worse than pgbench's filler.`

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    repeat: { type: 'string', default: '3' },
    level: { type: 'string', default: '3' },
    major: { type: 'string', default: String(postgresMajors()[0] ?? 15) },
    'wal-mib': { type: 'string', default: '1024' },
    'no-replay': { type: 'boolean', default: false },
    'no-increments': { type: 'boolean', default: false },
    /** Recoveries, of the cluster and of one table, and reading the log. */
    'only-replay': { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    /** Little data, one round: does everything still run? */
    short: { type: 'boolean', default: false },
  },
})
const repeat = values.short ? 1 : Number(values.repeat)
const dataMib = values.short ? 64 : Number(values.mib)
const walMib = values.short ? 64 : Number(values['wal-mib'])
const level = Number(values.level)
const say = (line: string) => console.error(line)

const pgBackRestProgram = findProgram('pgbackrest')
const resticProgram = findProgram('restic')
const machine = describeMachine({
  node: process.execPath,
  ...(pgBackRestProgram ? { pgbackrest: pgBackRestProgram } : {}),
  ...(resticProgram ? { restic: resticProgram } : {}),
})
say(`filling a PostgreSQL ${values.major} with about ${dataMib} MiB`)
await using lab = await openLab({ sizeBytes: dataMib * 2 ** 20, major: Number(values.major) })
const program = buildProgram(lab)
const tools: Tools = {
  level,
  retake: setUpRetake(lab, { name: 'retake', program, level }),
  retakeDefault: setUpRetake(lab, { name: 'retake-default', program }),
  pgBackRest: pgBackRestProgram ? setUpPgBackRest(lab, { program: pgBackRestProgram, level }) : undefined,
  pgBackRestBlocks: pgBackRestProgram
    ? setUpPgBackRest(lab, { program: pgBackRestProgram, level, blocks: true })
    : undefined,
  restic: resticProgram && lab.hasBaseBackup ? setUpRestic(lab, { program: resticProgram }) : undefined,
}
const isOnlyReplay = values['only-replay']
const table = async (
  title: string,
  { cases, to }: { readonly cases: readonly Case[]; readonly to: string | undefined },
) => `## ${title}\n\n${renderTable(summarise(await runInterleaved(lab, cases, { repeat, say }), to), to)}`
const texts: string[] = []
if (!isOnlyReplay) {
  const backups = backupCases(lab, tools)
  const to = backups.find(({ name }) => name.startsWith('pgBackRest'))?.name
  texts.push(await table('Full backup', { cases: backups, to }))
  texts.push(await table('Restore of all files, durable, server not started', { cases: restoreCases(lab, tools), to }))
  texts.push(
    await table('Verify: everything stored is read back and proven', {
      cases: verifyCases(tools),
      to: tools.restic && 'restic check --read-data',
    }),
  )
}
for (const { title, cases } of isOnlyReplay ? [] : deltaTables(lab, tools)) {
  const to = cases.find(({ name }) => name.startsWith('pgBackRest'))?.name
  texts.push(await table(title, { cases, to }))
}
if (!values['no-replay'] && lab.hasBaseBackup) {
  const replay = await measureReplay(lab, tools)
  const decoding = decodeCases(lab)
  const megabytes = (await bytesBelow(archiveDirectory(lab))) / 1e6
  const title = `Reading ${megabytes.toFixed(0)} MB of WAL as files for what happened, in one process`
  texts.push(describeReplay(replay), await table(title, { cases: decoding, to: decoding[0]?.name }))
}
// Last, because it begins with repositories of its own.
for (const { title, cases, describe } of values['no-increments'] || isOnlyReplay ? [] : incrementTables(lab, tools)) {
  const to = cases.find(({ name }) => name.startsWith('pgBackRest'))?.name
  texts.push(await table(title, { cases, to }), describe())
}
const text = await describeResults(lab, texts)
console.log(text)
if (values.write) await writeFile(join(import.meta.dirname, 'README.md'), text)

async function measureReplay(on: Lab, using: Tools): Promise<Replay> {
  say(`writing ${walMib} MiB of WAL`)
  const setup = await prepareReplay(on, using, walMib * 2 ** 20)
  const samples: ReplaySample[] = []
  for (let round = 1; round <= repeat; round++) {
    for (const sample of await setup.run()) {
      samples.push(sample)
      say(
        `round ${round}: ${sample.name}: ${sample.totalSeconds.toFixed(2)} s in all, redo ${sample.redoSeconds?.toFixed(2) ?? '-'} s`,
      )
    }
  }
  return { walBytes: setup.walBytes, samples }
}

async function describeResults(on: Lab, results: readonly string[]): Promise<string> {
  const [server] = await on.server.query<{ version: string }>('show server_version')
  const { system, processor, cores, memoryGib, loadBefore, versions } = machine
  return `${[
    '# Benchmark',
    'Written by `npm run bench -- --write`; a run without `--write` only prints. What is measured and how is below the results.',
    `- Machine: ${system}; ${processor}, ${cores} processors, ${memoryGib} GiB; load before the run ${loadBefore}
- PostgreSQL ${Object.values(server ?? {})[0]}, data checksums on, fsync on; ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join('; ')}
- Data: CineTrack, ${on.rows.toLocaleString('en')} rows, ${(on.dataBytes / 1e6).toFixed(0)} MB on disk without WAL, all in the page cache
- ${new Date().toISOString().slice(0, 10)}; each number is the median of ${repeat} interleaved runs (least to most in brackets)`,
    ...results,
    METHOD,
  ].join('\n\n')}\n`
}

interface Replay {
  readonly walBytes: number
  readonly samples: readonly ReplaySample[]
}

function describeReplay({ walBytes, samples }: Replay): string {
  const names = [...new Set(samples.map(({ name }) => name))]
  const first = median(samples.filter(({ name }) => name === names[0]).map(({ totalSeconds }) => totalSeconds))
  const rows = names.map((name) => {
    const own = samples.filter((sample) => sample.name === name)
    const total = median(own.map(({ totalSeconds }) => totalSeconds))
    const redo = own.flatMap(({ redoSeconds }) => redoSeconds ?? [])
    const [fetched] = own.flatMap(({ fetchedBytes }) => fetchedBytes ?? [])
    const cells = [
      `${total.toFixed(2)} (${(total / first).toFixed(2)}x)`,
      redo.length === 0 ? '' : median(redo).toFixed(2),
      fetched === undefined ? '' : (fetched / 1e6).toFixed(0),
    ]
    return `| ${[name, ...cells].join(' | ')} |`
  })
  return [
    `## Recovery: restore, then replay of ${(walBytes / 1e6).toFixed(0)} MB of WAL`,
    [
      '| case | from nothing to taking writes, s | of it redo, s | fetched of the backup, MB |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  ].join('\n\n')
}
