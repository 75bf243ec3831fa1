/**
 * Torn or corrupt? A page that was written while it was read has a wrong checksum in the backup, and that is harmless: the
 * server logged the whole page (full_page_writes), and replay puts it back. A page that is wrong on the server itself is not.
 */
import { sleep } from '../../base/abort.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { findBadPages } from '../../postgres/page.ts'
import type { BadPage } from './frame-task.ts'
import type { ServerLine } from './server-line.ts'

/** The pauses before each time that pages are read again; a write takes far less. */
const PAUSES_MS = [0, 50, 200, 500] as const

/** Pages of one file that are read again; a file with more wrong pages than this is not in flight but broken. */
const REREAD_LIMIT = 512

export interface PageVerdict {
  readonly tornBlocks: number[]
  readonly corruptBlocks: number[]
}

export interface JudgeOptions {
  readonly sql: Pick<ServerLine, 'query'>
  /** Where replay of this backup begins. */
  readonly startLsn: bigint
  readonly blockSizeBytes: number
  /** Reads a block again; undefined when it is not there any more. Absent: it cannot be read again. */
  readonly reread?: RereadBlock | undefined
  /** The fingerprint of a page's bytes, as the worker made it. */
  readonly fingerprint: (page: Uint8Array) => string
  readonly signal?: AbortSignal | undefined
}

export interface BlockPlace {
  /** Relative to PGDATA. */
  readonly path: string
  readonly offsetBytes: number
  readonly lengthBytes: number
}

export type RereadBlock = (place: BlockPlace) => Promise<Uint8Array | undefined>

/** A file with bad pages; `firstBlockNumber` is the block number of its first page, by its segment. */
export interface SuspectFile {
  readonly path: string
  readonly firstBlockNumber: number
  readonly badPages: readonly BadPage[]
}

/**
 * Tells the torn pages of a file from its corrupt ones. A page whose LSN lies between the start of the backup and now was
 * changed meanwhile, so the log holds it whole. Of the others the LSN may itself be torn or garbage: they are read again, and
 * only those that stay wrong and unchanged are corrupt. A page that can not be read again is called corrupt: never hidden.
 */
export async function judgePages(file: SuspectFile, options: JudgeOptions): Promise<PageVerdict> {
  const nowLsn = await currentLsn(options.sql)
  const tornBlocks: number[] = []
  let suspects: BadPage[] = []
  for (const page of file.badPages) {
    if (isWithin(page.lsn, options.startLsn, nowLsn)) tornBlocks.push(page.blockNumber)
    else suspects.push(page)
  }
  const { reread } = options
  if (reread && suspects.length <= REREAD_LIMIT) {
    for (const pauseMs of PAUSES_MS) {
      if (suspects.length === 0) break
      await sleep(pauseMs, options.signal)
      const still: BadPage[] = []
      for (const page of suspects) {
        if (await isUnchangedAndBad(page, file, { ...options, reread })) still.push(page)
        else tornBlocks.push(page.blockNumber)
      }
      suspects = still
    }
  }
  return {
    tornBlocks: tornBlocks.sort((a, b) => a - b),
    corruptBlocks: suspects.map((page) => page.blockNumber),
  }
}

/** A page changed in this stretch of the log is in it as a whole. */
export function isWithin(lsn: bigint, startLsn: bigint, nowLsn: bigint): boolean {
  return lsn >= startLsn && lsn <= nowLsn
}

async function isUnchangedAndBad(
  page: BadPage,
  file: SuspectFile,
  options: JudgeOptions & { readonly reread: RereadBlock },
): Promise<boolean> {
  const { blockSizeBytes } = options
  const offsetBytes = (page.blockNumber - file.firstBlockNumber) * blockSizeBytes
  const bytes = await options.reread({ path: file.path, offsetBytes, lengthBytes: blockSizeBytes })
  // Gone or shortened: whatever the page was, the log says that it ended.
  if (!bytes || bytes.length < blockSizeBytes) return false
  if (options.fingerprint(bytes) !== page.fingerprint) return false
  return findBadPages(bytes, { firstBlockNumber: page.blockNumber, blockSizeBytes }).length > 0
}

/** Through the server, for a role that may read its files. */
export function rereadThrough(sql: Pick<ServerLine, 'query'>): RereadBlock {
  return async ({ path, offsetBytes, lengthBytes }) => {
    const [row] = await sql.query<{ bytes: Buffer | null }>('select pg_read_binary_file($1, $2, $3, true) as bytes', [
      path,
      offsetBytes,
      lengthBytes,
    ])
    return row?.bytes ?? undefined
  }
}

async function currentLsn(sql: Pick<ServerLine, 'query'>): Promise<bigint> {
  const [row] = await sql.query<{ lsn: string | null }>(
    `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn`,
  )
  return row?.lsn ? parseLsn(row.lsn) : 0n
}
