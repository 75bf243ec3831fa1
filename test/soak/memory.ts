/** Done-when 7: the resident memory of a whole backup and of a whole restore stays under 300 MiB, whatever the size of the database. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { measure } from '../support/measure.ts'
import { anyMajor, startTestServer } from '../support/postgres.ts'
import { makeTemp } from '../support/temp.ts'

export const MEMORY_LIMIT_MIB = 300

/** CineTrack at scale 1, on disk, with its indexes. */
const GIB_PER_SCALE = 0.045

export interface MemoryOptions {
  /** Sizes of the database to try. */
  readonly gib: readonly number[]
  readonly say: (line: string) => void
}

/** Returns what was over the limit. */
export async function measureMemory(options: MemoryOptions): Promise<string[]> {
  const problems: string[] = []
  for (const gib of options.gib) {
    for (const { what, peakMib } of await measureOne(gib)) {
      options.say(`${gib} GiB: ${what} needed ${peakMib.toFixed(0)} MiB`)
      if (peakMib > MEMORY_LIMIT_MIB)
        problems.push(`${gib} GiB: ${what} needed ${peakMib.toFixed(0)} MiB, more than ${MEMORY_LIMIT_MIB}`)
    }
  }
  return problems
}

/** Commands are processes of their own; the restore starts no server, whose memory is not ours. */
async function measureOne(gib: number): Promise<{ what: string; peakMib: number }[]> {
  await using server = await startTestServer({
    major: anyMajor(),
    settings: { autovacuum: 'off', max_wal_size: '8GB', full_page_writes: 'on', maintenance_work_mem: '256MB' },
  })
  await using temp = makeTemp({ label: 'memory' })
  await installCineTrack({ target: server.target, scale: gib / GIB_PER_SCALE })
  await server.query('checkpoint')
  writeFileSync(temp.join('key'), formatKeyText(generateKey().bytes), { mode: 0o600 })
  const env = {
    RETAKE_REPO: temp.join('repository'),
    RETAKE_KEY_FILE: temp.join('key'),
    RETAKE_DATABASE_URL: server.url,
  }
  const command = (args: readonly string[]) => ({
    program: process.execPath,
    args: [resolve(import.meta.dirname, '../../bin/retake.js'), ...args, '--json', '--quiet'],
    env,
  })
  await measure(command(['init']))
  const backup = await measure(command(['backup']))
  const restore = await measure(
    command(['restore', 'apply', '--at', 'latest', '--to', temp.join('restored'), '--no-start']),
  )
  return [
    { what: 'the backup', peakMib: backup.peakRssBytes / 2 ** 20 },
    { what: 'the restore', peakMib: restore.peakRssBytes / 2 ** 20 },
  ]
}
