/** Reading the log for what happened in it: the decoder beside pg_waldump, on the segments that the replay has archived. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { formatLsn, parseSegmentName, segmentStart } from '../src/postgres/lsn.ts'
import { archiveDirectory, type Case } from './cases.ts'
import type { Lab } from './lab.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const prepare = async () => {}

export function decodeCases(lab: Lab): Case[] {
  const directory = archiveDirectory(lab)
  const segments = readdirSync(directory)
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort()
  const first = parseSegmentName(segments[0] ?? '', SEGMENT_BYTES)
  // Up to where the last one begins: at the end of the log it would wait for more.
  const last = parseSegmentName(segments.at(-1) ?? '', SEGMENT_BYTES)
  const [begin, end] = [first, last].map((place) => formatLsn(segmentStart(place?.segment ?? 0n, SEGMENT_BYTES)))
  const ours = {
    name: 'decoder, to transactions',
    prepare,
    commands: () => [{ program: process.execPath, args: [join(import.meta.dirname, 'decode-log.ts'), directory] }],
  }
  const theirs = {
    name: 'pg_waldump --stats',
    prepare,
    commands: () => [
      {
        program: join(lab.server.binDir, 'pg_waldump'),
        args: ['--stats', '-p', directory, '-t', String(first?.timeline), '-s', begin ?? '', '-e', end ?? ''],
      },
    ],
  }
  return [theirs, ours]
}
