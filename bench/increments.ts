/** An increment after about 1 % of all pages were changed by SQL, beside pgBackRest's block incremental. */
import { closeSync, globSync, openSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { Random } from '../src/demo/cinetrack/random.ts'
import { type Command, measure } from '../test/support/measure.ts'
import type { Case, Tools } from './cases.ts'
import { bytesBelow, type Lab } from './lab.ts'
import { startReceiver } from './retake.ts'

const PAGE_BYTES = 8192
/**
 * One row of single pages anywhere, or all rows of pages beside each other; `share` of the pages of the largest tables. Indexes
 * and new versions of rows make it about 1 % of all pages: each row of a whole page goes to a place of its own in every index.
 */
const PATTERNS = [
  { name: 'single pages anywhere', runPages: 1, share: 0.01 },
  { name: 'stretches of 16 pages', runPages: 16, share: 0.001 },
] as const

interface Changes {
  /** Pages whose LSN moved. */
  readonly pages: number
  /** Those pages alone, compressed at the same level, a MiB at a time. */
  readonly compressedBytes: number
  /** By the backup, without WAL. */
  readonly storedBytes: number
}

export interface IncrementTable {
  readonly title: string
  readonly cases: readonly Case[]
  /** What was changed, and what was stored of it; after the cases have run. */
  describe(): string
}

export function incrementTables(lab: Lab, tools: Tools): IncrementTable[] {
  const { level, retake, pgBackRestBlocks } = tools
  const seeds = { next: 1 }
  return PATTERNS.map(({ name, runPages, share }) => {
    const changes = new Map<string, Changes[]>()
    const shared = { seeds, runPages, share, changes, level }
    const ours = (way: 'files' | 'replication') =>
      incrementCase(lab, {
        ...shared,
        name: `retake, zstd ${level}, via ${way}`,
        repo: retake.repo,
        reset: () => retake.reset(),
        archive: () => startReceiver(retake),
        backup: () => retake.command(['backup', '--quiet', '--via', way]),
      })
    const cases = [ours('files'), ours('replication')]
    if (pgBackRestBlocks) {
      cases.push(
        incrementCase(lab, {
          ...shared,
          name: `pgBackRest, ${pgBackRestBlocks.hasBlocks ? 'block' : 'file'} incremental, zstd ${level}, process-max ${lab.cores}`,
          repo: pgBackRestBlocks.repo,
          reset: () => pgBackRestBlocks.reset(),
          // The first one is full by itself.
          backup: () => pgBackRestBlocks.backup('incr'),
        }),
      )
    }
    const title = `Increment: about 1 % of the pages changed, ${name}`
    const describe = () =>
      [
        'What is stored, to the changed pages compressed alone (each round changes others; those whose LSN moved, in 1 MiB pieces):',
        ...[...changes].map(([of, rounds]) => `- ${of}: ${rounds.map(describeChange).join('; ')}`),
      ].join('\n')
    return { title, cases, describe }
  })
}

interface IncrementCaseOptions {
  readonly name: string
  readonly repo: string
  readonly level: number
  readonly runPages: number
  readonly share: number
  readonly seeds: { next: number }
  readonly changes: Map<string, Changes[]>
  readonly reset: () => Promise<void>
  /** Begins to archive the log beside the backups, where that is no setting of the server. */
  readonly archive?: () => AsyncDisposable
  readonly backup: () => Command
}

function incrementCase(lab: Lab, options: IncrementCaseOptions): Case {
  const { name, repo, reset, archive, backup, runPages, share, seeds, changes, level } = options
  let before = 0
  let changed = { pages: 0, compressedBytes: 0 }
  let archiving: AsyncDisposable | undefined
  // The log is archived by the one, and not by the other.
  const backupBytes = () => bytesBelow(repo, ['--exclude=wal'])
  return {
    name,
    async prepare() {
      await reset()
      await measure(backup())
      archiving = archive?.()
      const [now] = await lab.server.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
      await changeRows(lab, { runPages, share, seed: seeds.next++ })
      await lab.server.query('checkpoint')
      changed = measureChanges(lab.server.dataDir, { since: now?.lsn ?? '0/0', level })
      before = await backupBytes()
    },
    async finish() {
      await archiving?.[Symbol.asyncDispose]()
    },
    commands: () => [backup()],
    storedBytes: async () => {
      const storedBytes = (await backupBytes()) - before
      changes.set(name, [...(changes.get(name) ?? []), { ...changed, storedBytes }])
      return storedBytes
    },
  }
}

/** Writes new versions of rows that lie on so many pages of the largest tables; where, depends on the seed alone. */
async function changeRows(
  lab: Lab,
  options: { readonly runPages: number; readonly share: number; readonly seed: number },
): Promise<void> {
  const { server } = lab
  const random = new Random(options.seed)
  const tables = await server.query<{ name: string; pages: number; column: string }>(
    `select c.oid::regclass::text as name, (pg_relation_size(c.oid) / ${PAGE_BYTES})::int as pages,
       (select quote_ident(attname) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
          and attgenerated = '' and attidentity = '' order by attnum limit 1) as column
     from pg_class c where relkind = 'r' and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
     order by pg_relation_size(c.oid) desc limit 4`,
  )
  await server.query(`set session_replication_role = replica`)
  for (const { name, pages, column } of tables) {
    const runs = Math.ceil((pages * options.share) / options.runPages)
    const places = Array.from({ length: runs }, () => random.between(0, Math.max(0, pages - options.runPages)))
    const where =
      options.runPages === 1
        ? `ctid = any(array[${places.map((page) => `'(${page},1)'`).join(',')}]::tid[])`
        : places.map((page) => `(ctid >= '(${page},0)' and ctid < '(${page + options.runPages},0)')`).join(' or ')
    await server.query(`update ${name} set ${column} = ${column} where ${where}`)
  }
  await server.query('reset session_replication_role')
}

function describeChange({ pages, compressedBytes, storedBytes }: Changes): string {
  const [stored, alone] = [storedBytes, compressedBytes].map((bytes) => (bytes / 1e6).toFixed(2))
  return `${pages.toLocaleString('en')} pages, ${stored} to ${alone} MB, ${(storedBytes / compressedBytes).toFixed(2)}x`
}

function measureChanges(dataDir: string, options: { readonly since: string; readonly level: number }) {
  const [high = 0, low = 0] = options.since.split('/').map((part) => Number.parseInt(part, 16))
  const gathered: Buffer[] = []
  let pages = 0
  let compressedBytes = 0
  const flush = () => {
    if (gathered.length === 0) return
    const params = { [constants.ZSTD_c_compressionLevel]: options.level }
    compressedBytes += zstdCompressSync(Buffer.concat(gathered.splice(0)), { params }).length
  }
  for (const file of globSync('{base/*,global}/*', { cwd: dataDir }).sort()) {
    if (!/^\d+(_vm|_fsm)?(\.\d+)?$/.test(basename(file))) continue
    const path = join(dataDir, file)
    const bytes = Buffer.alloc(statSync(path).size)
    const descriptor = openSync(path, 'r')
    readSync(descriptor, bytes, 0, bytes.length, 0)
    closeSync(descriptor)
    for (let at = 0; at + PAGE_BYTES <= bytes.length; at += PAGE_BYTES) {
      const pageHigh = bytes.readUInt32LE(at)
      if (pageHigh < high || (pageHigh === high && bytes.readUInt32LE(at + 4) <= low)) continue
      gathered.push(bytes.subarray(at, at + PAGE_BYTES))
      pages += 1
      if (gathered.length === 128) flush()
    }
  }
  flush()
  return { pages, compressedBytes }
}
