/** Done-when 7: a cluster with 100,000 relation files is backed up, restored and put right in place with bounded memory. */
import { chownSync, closeSync, mkdirSync, openSync, readdirSync, readSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pageChecksum } from '../../src/postgres/page.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { measure } from '../support/measure.ts'
import { anyMajor, startTestServer, type TestServer } from '../support/postgres.ts'
import { makeTemp } from '../support/temp.ts'
import { MEMORY_LIMIT_MIB } from './memory.ts'

/** Far above what catalogs use, so that none is taken. */
const FIRST_FILE_NODE = 3_000_000_000

export interface ManyFilesOptions {
  readonly files: number
  readonly say: (line: string) => void
}

/** Returns what was over the limit. */
export async function measureManyFiles(options: ManyFilesOptions): Promise<string[]> {
  await using server = await startTestServer({ major: anyMajor() })
  await using temp = makeTemp({ label: 'many-files' })
  await addRelationFiles(server, options.files)
  writeFileSync(temp.join('key'), formatKeyText(generateKey().bytes), { mode: 0o600 })
  const env = {
    RETAKE_REPO: temp.join('repository'),
    RETAKE_KEY_FILE: temp.join('key'),
    RETAKE_DATABASE_URL: server.url,
  }
  const run = async (what: string, args: readonly string[]) => {
    const program = process.execPath
    const script = resolve(import.meta.dirname, '../../bin/retake.js')
    const { peakRssBytes, wallMs } = await measure({ program, args: [script, ...args, '--json', '--quiet'], env })
    const peakMib = peakRssBytes / 2 ** 20
    options.say(`${options.files} files: ${what} needed ${peakMib.toFixed(0)} MiB and ${(wallMs / 1000).toFixed(1)} s`)
    return peakMib > MEMORY_LIMIT_MIB ? [`${what} needed ${peakMib.toFixed(0)} MiB, more than ${MEMORY_LIMIT_MIB}`] : []
  }
  const to = temp.join('restored')
  const restore = ['restore', 'apply', '--at', 'latest', '--to', to, '--no-start']
  await run('setting up', ['init'])
  return [
    ...(await run('the first backup', ['backup'])),
    ...(await run('the second backup', ['backup'])),
    ...(await run('verifying every byte', ['verify', '--deep'])),
    ...(await run('the restore', restore)),
    ...(await run('the delta restore', [...restore, '--delta', '--no-undo', '--confirm', basename(to)])),
  ]
}

/**
 * Files of tables that no catalog names, each of one page of a real one: every other file with something of its own in the hole of the
 * page, and the rest all alike. Making so many tables through SQL would take most of the time and prove nothing more about copying them.
 */
export async function addRelationFiles(server: TestServer, count: number): Promise<void> {
  await server.query('checkpoint')
  const [row] = await server.query<{ oid: number; path: string }>(
    `select oid::int, pg_relation_filepath('pg_class') as path from pg_database where datname = current_database()`,
  )
  if (!row) throw new Error('the server did not name its database')
  const page = Buffer.from(new ArrayBuffer(8192))
  const descriptor = openSync(join(server.dataDir, row.path), 'r')
  readSync(descriptor, page, 0, page.length, 0)
  closeSync(descriptor)
  const alike = Buffer.from(page)
  const account = serverAccount()
  const directory = join(server.dataDir, 'base', String(row.oid))
  mkdirSync(directory, { recursive: true })
  for (let index = 0; index < count; index += 1) {
    const file = join(directory, String(FIRST_FILE_NODE + index))
    if (index % 2 === 0) stamp(page, index)
    writeFileSync(file, index % 2 === 0 ? page : alike)
    if (account) chownSync(file, account.uid, account.gid)
  }
  const found = readdirSync(directory).length
  if (found < count || statSync(directory).size === 0) throw new Error(`only ${found} files were made`)
}

/** Writes a number between the pointers and the tuples of a page, as the first of its relation. */
function stamp(page: Buffer<ArrayBuffer>, number: number): void {
  const holeBegin = page.readUInt16LE(12)
  if (holeBegin + 8 > page.readUInt16LE(14)) throw new Error('the page has no hole')
  page.writeUInt32LE(number, holeBegin)
  page.writeUInt16LE(pageChecksum(new Int32Array(page.buffer), 0), 8)
}
