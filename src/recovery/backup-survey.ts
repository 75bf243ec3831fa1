/** One pass over a manifest for what a plan needs to know: how much, where, and the few files that decide how the server is set up. */
import { RetakeError } from '../base/errors.ts'
import { type ControlFile, parseControlFile } from '../postgres/control-file.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary, FileEntry, PackEntry } from '../repository/manifest.ts'
import { readEntries } from '../repository/manifest-store.ts'
import { FrameSource } from './frame-source.ts'
import { parseSettings } from './settings.ts'

export interface BackupSurvey {
  readonly fileCount: number
  readonly bytes: number
  readonly writtenBytes: number
  readonly fetchedBytes: number
  /** By oid; what lies in PGDATA itself is under 0. */
  readonly bytesByTablespace: ReadonlyMap<number, number>
  readonly control: ControlFile
  /** The settings in the restored PGDATA, `postgresql.auto.conf` over `postgresql.conf`; files outside are not known. */
  readonly configured: ReadonlyMap<string, string>
  /** Which of the configuration files are in PGDATA (Debian keeps them elsewhere). */
  readonly configFiles: ReadonlySet<string>
}

export const CONTROL_FILE = 'global/pg_control'
export const CONFIG_FILES = ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'] as const
const AUTO_CONF = 'postgresql.auto.conf'
const WANTED: ReadonlySet<string> = new Set([CONTROL_FILE, 'backup_label', AUTO_CONF, ...CONFIG_FILES])

/** @throws RetakeError `repo.damaged` when the backup lacks a file without which it cannot be restored */
export async function surveyBackup(
  cluster: ClusterRepository,
  summary: BackupSummary,
  options: {
    readonly signal?: AbortSignal | undefined
    /** Files that are not fetched. */
    readonly leavesOut?: ((path: string) => boolean) | undefined
  } = {},
): Promise<BackupSurvey> {
  const packs: PackEntry[] = []
  const found = new Map<string, FileEntry>()
  const bytesByTablespace = new Map<number, number>()
  const totals = { fileCount: 0, bytes: 0, writtenBytes: 0, fetchedBytes: 0 }
  let lastFrame = ''
  for await (const entry of readEntries(cluster, summary.backupId)) {
    options.signal?.throwIfAborted()
    if (entry.type === 'pack') packs.push(entry)
    if (entry.type !== 'file') continue
    if (WANTED.has(entry.path)) found.set(entry.path, entry)
    totals.fileCount += 1
    totals.bytes += entry.sizeBytes
    if (options.leavesOut?.(entry.path)) continue
    const tablespace = tablespaceOf(entry.path)
    for (const run of entry.runs) {
      if (!run.frame) continue
      totals.writtenBytes += run.lengthBytes
      bytesByTablespace.set(tablespace, (bytesByTablespace.get(tablespace) ?? 0) + run.lengthBytes)
      const frame = `${run.frame.pack}/${run.frame.index}`
      if (frame !== lastFrame) totals.fetchedBytes += run.frame.storedBytes
      lastFrame = frame
    }
  }
  const frames = new FrameSource(cluster, packs)
  const control = await frames.readFile(required(found, CONTROL_FILE, summary))
  await checkLabel(frames, required(found, 'backup_label', summary), summary)
  const configured = new Map<string, string>()
  for (const name of ['postgresql.conf', AUTO_CONF]) {
    const file = found.get(name)
    if (file)
      for (const [key, value] of parseSettings((await frames.readFile(file)).toString('utf8')))
        configured.set(key, value)
  }
  const configFiles = new Set(CONFIG_FILES.filter((name) => found.has(name)))
  return { ...totals, bytesByTablespace, control: parseControlFile(control), configured, configFiles }
}

/** The oid of the tablespace that a path of a manifest belongs to; 0 for PGDATA itself. */
export function tablespaceOf(path: string): number {
  const match = /^pg_tblspc\/(\d+)\//.exec(path)
  return match ? Number(match[1]) : 0
}

function required(found: ReadonlyMap<string, FileEntry>, path: string, summary: BackupSummary): FileEntry {
  const file = found.get(path)
  if (file) return file
  throw new RetakeError(
    'repo.damaged',
    `Backup ${summary.backupId} does not contain ${path}, so it cannot be restored.`,
    {
      hint: 'Restore from another backup (--backup), and run `retake verify`.',
      details: { backupId: summary.backupId, path },
    },
  )
}

/** Without the right label, PostgreSQL would begin its replay at a later checkpoint and end up silently corrupt. */
async function checkLabel(frames: FrameSource, file: FileEntry, summary: BackupSummary): Promise<void> {
  const label = (await frames.readFile(file)).toString('utf8')
  const start = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(label)?.[1]
  if (start === summary.startLsn) return
  throw new RetakeError(
    'repo.damaged',
    `The backup_label of backup ${summary.backupId} begins at ${start ?? 'no position'}, its manifest at ${summary.startLsn}.`,
    { hint: 'Restore from another backup (--backup), and run `retake verify`.' },
  )
}
