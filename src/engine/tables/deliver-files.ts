/** Writes recovered tables to files. */
import { access, mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import { findPostgresBinaries } from '../../postgres/server/binaries.ts'
import { serverEnvironment } from '../../postgres/server/environment.ts'
import { runProgram } from '../../postgres/server/run-program.ts'
import type { FoundTable } from '../../recovery/tables/check-files.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable, quoteTable } from '../../recovery/tables/table-name.ts'
import { columnList, readShape, selectRows } from '../../recovery/tables/table-shape.ts'
import type { DeliveredTable } from './deliver-beside.ts'
import { beginForText } from './text-settings.ts'

/** `sql`: the definition and the rows, for psql. `csv`: with a header. `binary`: for `COPY … WITH (FORMAT binary)`. */
export const tableFormats = ['sql', 'csv', 'binary'] as const
export type TableFormat = (typeof tableFormats)[number]

const ENDINGS: Readonly<Record<TableFormat, string>> = { sql: 'sql', csv: 'csv', binary: 'copy' }
const DUMP_TIMEOUT_MS = 600_000

/** @throws RetakeError `config.invalid` when a file is there already or cannot be made; files that were begun are removed then */
export async function deliverFiles(
  recovered: RecoveredTables,
  options: {
    readonly directory: string
    readonly format: TableFormat
    readonly where?: string | undefined
    readonly dumpProgram: string | undefined
    readonly signal: AbortSignal
  },
): Promise<DeliveredTable[]> {
  const { directory, format, signal } = options
  await using from = await CopySession.open(recovered.target, { signal })
  await beginForText(from, 'read only')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const delivered: DeliveredTable[] = []
  const made: string[] = []
  try {
    for (const table of recovered.tables) {
      const file = path.join(directory, `${fileName(table)}.${ENDINGS[format]}`)
      const rows = await writeTable(from, { ...options, recovered, table, file, onMade: () => made.push(file) })
      delivered.push({ table: formatTable(table), rows, file })
    }
    return delivered
  } catch (error) {
    for (const file of made) await rm(file, { force: true })
    throw error
  }
}

interface TableToWrite {
  readonly recovered: RecoveredTables
  readonly table: FoundTable
  readonly file: string
  readonly format: TableFormat
  readonly where?: string | undefined
  readonly dumpProgram: string | undefined
  readonly signal: AbortSignal
  readonly onMade: () => void
}

async function writeTable(from: CopySession, work: TableToWrite): Promise<number> {
  const { table, file, format, where } = work
  const { columns } = await readShape(from, table)
  // A file that shall be loaded again does not bring what the server computes itself.
  const written = format === 'csv' ? columns : columns.filter(({ isGenerated }) => !isGenerated)
  const select = selectRows(table, { columns: written, where })
  const how = { sql: '', csv: ' with (format csv, header)', binary: ' with (format binary)' }[format]
  const rows = from.copyOut(`copy (${select}) to stdout${how}`)
  await using handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
    throw notMade(file, error)
  })
  work.onMade()
  // One write after the other: the order is that of the file.
  if (format === 'sql') {
    await handle.writeFile(await definition(work, 'pre-data'))
    await handle.writeFile(`COPY ${quoteTable(table)} (${columnList(written)}) FROM stdin;\n`)
  }
  for await (const bytes of rows.pieces) await handle.writeFile(bytes)
  if (format === 'sql') await handle.writeFile(`\\.\n\n${await definition(work, 'post-data')}`)
  await handle.sync()
  return rows.rows()
}

/** The table with its partitions as pg_dump writes them: before the rows come, and after (keys, indexes, triggers, policies). */
async function definition(
  { recovered, table, dumpProgram, signal }: TableToWrite,
  section: 'pre-data' | 'post-data',
): Promise<string> {
  if (dumpProgram === undefined) throw new Error('assertion failed: SQL is refused without pg_dump')
  const { host = '', port = 0, user = '', database = '' } = recovered.target.config
  await using session = await CopySession.open(recovered.target, { signal })
  const parts = await session.query(`
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_partition_tree(${table.oid}) p join pg_catalog.pg_class c on c.oid = p.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace`)
  const names = parts.length === 0 ? [quoteTable(table)] : parts.map(({ name }) => name ?? '')
  const args = [
    ...['-h', host, '-p', String(port), '-U', user, '-d', database, '--no-password', `--section=${section}`],
    ...['--schema-only', '--quote-all-identifiers', ...names.map((name) => `--table=${name}`)],
  ]
  const { code, stdout, stderr } = await runProgram(dumpProgram, args, {
    env: { ...serverEnvironment(), PGOPTIONS: '-c session_replication_role=replica' },
    signal,
    timeoutMs: DUMP_TIMEOUT_MS,
  })
  if (code === 0) return stdout
  throw new RetakeError(
    'postgres.server',
    `pg_dump could not write the definition of ${formatTable(table)}:\n${stderr}`,
    {
      hint: 'Write the rows alone: --format csv.',
    },
  )
}

/** Beside the server programs of that version. @throws RetakeError `dependency.missing` */
export async function findDumpProgram(options: {
  readonly major: number
  readonly directory: string | undefined
}): Promise<string> {
  const { binDir } = await findPostgresBinaries(options)
  const program = path.join(binDir, 'pg_dump')
  try {
    await access(program)
    return program
  } catch {
    throw new RetakeError(
      'dependency.missing',
      `There is no pg_dump of PostgreSQL ${options.major} on this machine, so the definition of a table cannot be written as SQL.`,
      {
        hint: `Install it (Debian: apt install postgresql-client-${options.major}), or write the rows alone: --format csv.`,
      },
    )
  }
}

/** What a name has that a file's must not is written as its code. */
function fileName({ schema, table }: FoundTable): string {
  return [schema, table]
    .map((name) => name.replaceAll(/[^\p{L}\p{N}_ -]/gu, (one) => encodeURIComponent(one)))
    .join('.')
}

function notMade(file: string, cause: unknown): RetakeError {
  const code = systemErrorCode(cause)
  return new RetakeError(
    'config.invalid',
    code === 'EEXIST' ? `${file} is there already; it is not overwritten.` : `${file} cannot be made (${code}).`,
    { hint: 'Name another directory: --out DIR.', cause },
  )
}
