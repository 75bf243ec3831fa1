import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type Lsn, parseSegmentName, segmentStart } from '../../lsn.ts'

export interface ServerLog {
  readonly startLsn: Lsn
  readonly bytes: Buffer
}

/** The whole log of a server, from its oldest segment to the end of what is written. */
export function readServerLog(dataDir: string, segmentSizeBytes: number): ServerLog {
  const directory = path.join(dataDir, 'pg_wal')
  const segments = readdirSync(directory)
    .flatMap((name) => {
      const position = parseSegmentName(name, segmentSizeBytes)
      return position === undefined ? [] : [{ name, ...position }]
    })
    .sort((left, right) => Number(left.segment - right.segment))
  const startLsn = segmentStart(segments[0]?.segment ?? 0n, segmentSizeBytes)
  return { startLsn, bytes: Buffer.concat(segments.map(({ name }) => readFileSync(path.join(directory, name)))) }
}
