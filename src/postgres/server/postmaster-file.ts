import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from '../../base/errors.ts'

/** What a running server says of itself in `postmaster.pid` (src/include/utils/pidfile.h). */
export interface PostmasterFile {
  readonly pid: number
  readonly dataDir: string
  /** When the process began, in whole seconds since 1970. */
  readonly startedAtSeconds: number | undefined
  readonly port: number | undefined
  readonly socketDir: string | undefined
  /** Absent while the server has not come so far. `standby`: in recovery and not open to queries. */
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | undefined
}

/** The parsed file, or undefined when it is absent or not yet written. */
export async function readPostmasterFile(dataDir: string): Promise<PostmasterFile | undefined> {
  try {
    return parsePostmasterFile(await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8'))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The server rewrites the file line by line as it starts; a file with no complete first line says nothing yet. */
export function parsePostmasterFile(text: string): PostmasterFile | undefined {
  const lines = text.split('\n')
  // A stand-alone backend writes its pid as a negative number.
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10))
  if (lines.length < 2 || !Number.isInteger(pid) || pid === 0) return undefined
  const startedAtSeconds = Number.parseInt(lines[2] ?? '', 10)
  const port = Number.parseInt(lines[3] ?? '', 10)
  return {
    pid,
    dataDir: lines[1] ?? '',
    startedAtSeconds: Number.isInteger(startedAtSeconds) ? startedAtSeconds : undefined,
    port: Number.isInteger(port) ? port : undefined,
    socketDir: lines[4]?.trim() || undefined,
    status: parseStatus(lines[7]?.trim()),
  }
}

function parseStatus(word: string | undefined): PostmasterFile['status'] {
  return word === 'starting' || word === 'stopping' || word === 'ready' || word === 'standby' ? word : undefined
}
