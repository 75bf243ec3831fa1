/** Files and directories that survive a power failure once a call resolves. */
import { spawn } from 'node:child_process'
import { open, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'

export interface FileOptions {
  readonly mode?: number | undefined
  readonly account?: { readonly uid: number; readonly gid: number } | undefined
}

/** Writes a whole file under a temporary name, makes it durable, and puts it in place in one step. */
export async function replaceFile(
  file: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  const draft = `${file}.retake`
  {
    await using handle = await open(draft, 'w', options.mode ?? 0o600)
    await handle.writeFile(content)
    if (options.account) await handle.chown(options.account.uid, options.account.gid)
    await handle.sync()
  }
  await rename(draft, file)
  await syncDirectory(path.dirname(file))
}

export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}

/**
 * One durability barrier for everything below the directories: a flush of each filesystem where the system offers it, which
 * is much faster than one fsync per file; else every file and directory by itself. Linux reports write errors from it since 5.8.
 */
export async function syncTrees(directories: readonly string[]): Promise<'filesystem' | 'files'> {
  if (process.platform === 'linux' && (await syncFilesystems(directories))) return 'filesystem'
  for (const directory of directories) await syncTree(directory)
  return 'files'
}

async function syncFilesystems(directories: readonly string[]): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const child = spawn('sync', ['--file-system', '--', ...directories], { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', (piece) => {
      complaint += piece
    })
    child.on('error', () => resolve(false))
    child.on('close', (status) => {
      if (status === 0) resolve(true)
      else if (/(unrecognized|invalid|unknown) option/i.test(complaint)) resolve(false)
      else
        reject(new RetakeError('storage.failed', `The restored files could not be made durable: ${complaint.trim()}`))
    })
  })
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const child = path.join(directory, entry.name)
    if (entry.isDirectory()) await syncTree(child)
    else if (entry.isFile()) await syncFile(child)
  }
  await syncDirectory(directory)
}

async function syncFile(file: string): Promise<void> {
  try {
    await using handle = await open(file, 'r')
    await handle.sync()
  } catch (error) {
    // Gone meanwhile: a spool's file that the server has taken.
    if (systemErrorCode(error) !== 'ENOENT') throw error
  }
}
