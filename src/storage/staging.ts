/**
 * Files that are being written lie in `.staging` under a name that tells whose they are, so that what a killed process
 * left behind can be told from what a living one is writing.
 */
import { stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { randomId } from '../base/ids.ts'
import { currentProcess, hasCertainlyEnded, type ProcessIdentity } from '../base/process-identity.ts'
import { isMissing, sortedEntries } from './directory-files.ts'

export const STAGING = '.staging'
/** What nobody has touched for so long belongs to nobody, even if it came from another host. */
const ABANDONED_MS = 7 * 24 * 60 * 60 * 1000
const NAME = /^([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d*)-[0-9a-f]+$/

export function stagingName(identity: ProcessIdentity): string {
  return `${identity.realm}-${identity.boot}-${identity.pid}-${identity.started}-${randomId(8)}`
}

/** Removes what ended processes left in a repository directory. Safe while others write; returns what it removed. */
export async function cleanStaging(
  root: string,
  options: { readonly now?: Date } = {},
): Promise<{ readonly files: number; readonly bytes: number }> {
  const directory = join(root, STAGING)
  const observer = currentProcess()
  const now = options.now ?? new Date()
  let files = 0
  let bytes = 0
  for (const entry of await sortedEntries(directory)) {
    const path = join(directory, entry.name)
    const info = await stat(path).catch(ignoreMissing)
    if (info === undefined || !info.isFile() || !isLeftover(entry.name, info.mtimeMs, { observer, now })) continue
    await unlink(path).catch(ignoreMissing)
    files += 1
    bytes += info.size
  }
  return { files, bytes }
}

function isLeftover(
  name: string,
  modifiedMs: number,
  context: { readonly observer: ProcessIdentity; readonly now: Date },
): boolean {
  if (context.now.getTime() - modifiedMs > ABANDONED_MS) return true
  const [, realm, boot, pid, started] = NAME.exec(name) ?? []
  if (realm === undefined || boot === undefined || started === undefined) return false
  const { observer } = context
  // After a reboot of this very host, none of its earlier processes lives.
  if (realm === observer.realm && boot !== observer.boot && boot !== '00000000') return true
  return hasCertainlyEnded({ host: observer.host, realm, boot, pid: Number(pid), started }, observer)
}

function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}
