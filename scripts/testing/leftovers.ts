import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export interface LeftoverProcess {
  readonly pid: number
  readonly command: string
}

/**
 * The processes that a test file started and did not stop. They are known by the file's own temporary directory: it is
 * in their environment (TMPDIR), or their working directory (a server's data directory) or an argument lies in it.
 * Needs /proc; elsewhere nothing is found.
 */
export function findLeftoverProcesses(directory: string): LeftoverProcess[] {
  if (!existsSync('/proc/self/cmdline')) return []
  const found: LeftoverProcess[] = []
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const command = readQuietly(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
      .replaceAll('\0', ' ')
      .trim()
    if (command === '') continue // a kernel thread, a zombie, or gone meanwhile
    const belongs =
      command.includes(`${directory}/`) ||
      isInside(
        readQuietly(() => readlinkSync(`/proc/${pid}/cwd`)),
        directory,
      ) ||
      readQuietly(() => readFileSync(`/proc/${pid}/environ`, 'utf8')).includes(`TMPDIR=${directory}\0`)
    if (belongs) found.push({ pid, command: command.slice(0, 200) })
  }
  return found
}

/** Waits until nothing of the directory runs any more, at most `graceMs`; returns and kills what still does. */
export async function endLeftoverProcesses(directory: string, graceMs: number): Promise<LeftoverProcess[]> {
  const deadlineMs = Date.now() + graceMs
  let left = findLeftoverProcesses(directory)
  while (left.length > 0 && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    left = findLeftoverProcesses(directory)
  }
  for (const { pid } of left) kill(pid)
  return left
}

/** Removes the directory, closed or read-only parts of it too, and names what was still in it. */
export function removeLeftoverFiles(directory: string): string[] {
  const names = readdirSync(directory)
  if (names.length > 0) openDirectories(directory)
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  return names
}

function openDirectories(directory: string): void {
  chmodSync(directory, 0o700)
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) openDirectories(join(directory, entry.name))
  }
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself in the meantime
  }
}

/** Processes of other users, and those that end while they are looked at, cannot be read: they count as empty. */
function readQuietly(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
