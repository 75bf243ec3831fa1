/** The server of a sandbox, when the process that started it may be gone. Nothing is kept of it, so it is ended as a crash would. */
import { readlink, realpath } from 'node:fs/promises'
import path from 'node:path'
import { sleep } from '../base/abort.ts'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { readPostmasterFile } from '../postgres/server/postmaster-file.ts'
import { killServerProcesses, listProcesses } from '../postgres/server/process-tree.ts'
import { runProgram } from '../postgres/server/run-program.ts'

interface Place {
  readonly dataDirectory: string
}

const GONE_WITHIN_MS = 30_000

/**
 * Ends every process that runs in the data directory. What lives there and is not that server (a shell that somebody opened in it) lives there too.
 * @throws RetakeError `postgres.server` when one does not go
 */
export async function killSandboxServer({ dataDirectory }: Place): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    const [first] = await serverProcesses(dataDirectory)
    if (first === undefined) return
    await killServerProcesses(first)
    if (performance.now() > deadline) {
      throw new RetakeError(
        'postgres.server',
        `The server of a drill in ${dataDirectory} does not end (process ${first}).`,
      )
    }
    await sleep(10)
  }
}

/**
 * A server, and whatever it starts, works in its data directory, which nobody else does: only its own account can enter. The postmaster, if
 * there is one, comes first. Process ids alone prove nothing, they are used again.
 */
export async function serverProcesses(dataDirectory: string): Promise<number[]> {
  const real = await realpath(dataDirectory).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (real === undefined) return []
  const postmaster = (await readPostmasterFile(dataDirectory))?.pid
  if (process.platform !== 'linux') {
    return postmaster !== undefined && (await isServerOf(postmaster, dataDirectory)) ? [postmaster] : []
  }
  const alive = (await listProcesses()).filter(({ state }) => state !== 'Z')
  const inside: number[] = []
  for (const { pid } of alive) if (await isServerProcess(pid, real)) inside.push(pid)
  return inside.sort((left, right) => Number(right === postmaster) - Number(left === postmaster))
}

async function isServerProcess(pid: number, dataDirectory: string): Promise<boolean> {
  return pid !== process.pid && (await linkOf(pid, 'cwd')) === dataDirectory
}

async function linkOf(pid: number, name: string): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/${name}`)
  } catch {
    // It has ended, or belongs to somebody else and so is not ours.
    return undefined
  }
}

/** Where there is no /proc: by the arguments that it was started with. */
async function isServerOf(pid: number, dataDirectory: string): Promise<boolean> {
  const { stdout } = await runProgram('ps', ['-ww', '-o', 'command=', '-p', String(pid)])
  return stdout.includes(`-D ${dataDirectory}`) && path.basename(stdout.split(' ')[0] ?? '') === 'postgres'
}
