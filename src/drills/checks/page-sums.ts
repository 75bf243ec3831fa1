/** The pages of a server that has stopped, each against its checksum. PostgreSQL's own pg_checksums does the same; it is not everywhere. */
import { open, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../../base/abort.ts'
import { type ControlFile, parseControlFile } from '../../postgres/control-file.ts'
import { sharedMemory } from '../../postgres/kernel/kernel.ts'
import { findBadPages, openPageKernel, type PageKernel } from '../../postgres/page.ts'
import { isRelationFile } from '../../postgres/relation-path.ts'
import { CONTROL_FILE } from '../../recovery/backup-survey.ts'
import { type Check, enumerate, failed, passed, skipped } from '../check.ts'

export interface PageSubject {
  readonly dataDirectory: string
  readonly signal: AbortSignal
}

const PIECE_BYTES = 1024 * 1024

export const pageCheck: Check<PageSubject> = {
  name: 'page-checksums',
  title: 'Every page has its checksum',
  run: async ({ dataDirectory, signal }) => {
    const control = parseControlFile(await readFile(path.join(dataDirectory, CONTROL_FILE)))
    if (control.dataChecksumVersion === 0) return skipped('The cluster has no page checksums.')
    const memory = sharedMemory(PIECE_BYTES)
    const reader = { buffer: Buffer.from(memory.buffer), kernel: openPageKernel(memory), control }
    const bad: string[] = []
    let pages = 0
    for await (const file of relationFiles(dataDirectory)) {
      throwIfAborted(signal)
      const found = await checkFile(dataDirectory, file, reader)
      pages += found.pages
      bad.push(...found.bad)
    }
    if (bad.length > 0) return failed(`${bad.length} of ${pages} pages do not: ${enumerate(bad)}.`)
    return passed(`${pages} pages.`)
  },
}

/** Paths below the data directory, tablespaces included. */
async function* relationFiles(dataDirectory: string): AsyncGenerator<string> {
  for (const top of ['global', 'base', 'pg_tblspc']) yield* filesBelow(dataDirectory, top)
}

async function* filesBelow(dataDirectory: string, folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(path.join(dataDirectory, folder), { withFileTypes: true })) {
    const below = `${folder}/${entry.name}`
    // The links of tablespaces lead to directories.
    if (entry.isDirectory() || (entry.isSymbolicLink() && folder === 'pg_tblspc'))
      yield* filesBelow(dataDirectory, below)
    else if (entry.isFile() && isRelationFile(below)) yield below
  }
}

interface PageReader {
  readonly buffer: Buffer
  readonly kernel: PageKernel | undefined
  readonly control: ControlFile
}

async function checkFile(
  dataDirectory: string,
  file: string,
  { buffer, kernel, control }: PageReader,
): Promise<{ readonly pages: number; readonly bad: readonly string[] }> {
  const { blockSizeBytes, relationSegmentBlocks } = control
  const firstOfFile = (isRelationFile(file)?.segmentNumber ?? 0) * relationSegmentBlocks
  const bad: string[] = []
  let pages = 0
  await using handle = await open(path.join(dataDirectory, file), 'r')
  for (;;) {
    const whole = await fill(handle, buffer, pages * blockSizeBytes)
    const count = Math.floor(whole / blockSizeBytes)
    if (count === 0) return { pages, bad }
    const bytes = buffer.subarray(0, count * blockSizeBytes)
    for (const { blockNumber } of findBadPages(bytes, {
      ...{ firstBlockNumber: firstOfFile + pages, blockSizeBytes, kernel },
    })) {
      bad.push(`block ${blockNumber} of ${file}`)
    }
    pages += count
  }
}

async function fill(
  handle: { read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }> },
  buffer: Buffer,
  position: number,
): Promise<number> {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}
