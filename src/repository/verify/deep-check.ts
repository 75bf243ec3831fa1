/** The checks that need processor time, one object at a time; they run in worker threads where the storage allows it. */
import { findBadPages } from '../../postgres/page.ts'
import type { ObjectReader } from '../../storage/object-store.ts'
import { type Container, openContainer } from '../container.ts'
import { createContentHasher } from '../content-hash.ts'
import type { FrameLocation } from '../frame-location.ts'
import { packKey } from '../layout.ts'
import { contentId, openFrameSync, type Sealing } from '../sealing.ts'
import { STRETCH_FIELDS } from './pack-users.ts'

/** Frames that lie one after the other are fetched with reads of about this size. */
const READ_BYTES = 4 * 1024 * 1024

export type DeepTask =
  | {
      readonly type: 'pack'
      readonly packId: string
      /** See `pack-users.ts`; empty when pages carry no checksums. */
      readonly stretches: Uint32Array
      readonly blockSizeBytes: number
    }
  | {
      /** A WAL segment, whole or partial. */
      readonly type: 'segment'
      readonly key: string
      readonly kind: 'walSegment' | 'walPartial'
      readonly contentId: string
    }

export interface DeepProblem {
  /** Absent when the object as a whole is concerned. */
  readonly frame?: number | undefined
  readonly problem: string
}

export interface DeepResult {
  readonly bytesRead: number
  readonly pagesChecked: number
  readonly problems: readonly DeepProblem[]
}

/** Reads one object completely. Damage is in the result; only a failing storage throws. */
export async function checkDeep(reader: ObjectReader, sealing: Sealing, task: DeepTask): Promise<DeepResult> {
  const name =
    task.type === 'pack' ? { key: packKey(task.packId), kind: 'pack' as const } : { key: task.key, kind: task.kind }
  const container = await openContainer(reader, sealing, name)
  if (container === undefined) return { bytesRead: 0, pagesChecked: 0, problems: [{ problem: 'it is missing' }] }
  if (task.type === 'pack') return await checkPack(reader, sealing, { container, task })
  const result = await checkSegment(reader, sealing, { container, task })
  if (result.problems.length === 0) return result
  // Sealed anew while it was read: then the answer is about no object at all.
  const now = await openContainer(reader, sealing, name)
  if (now === undefined || Buffer.from(now.salt).equals(container.salt)) return result
  return await checkSegment(reader, sealing, { container: now, task })
}

async function checkPack(
  reader: ObjectReader,
  sealing: Sealing,
  subject: { readonly container: Container; readonly task: DeepTask & { type: 'pack' } },
): Promise<DeepResult> {
  const { container, task } = subject
  const problems: DeepProblem[] = []
  const stretches = stretchesByFrame(task.stretches)
  let pagesChecked = 0
  for await (const { frame, plain } of readAllFrames(reader, container)) {
    if (plain === undefined) {
      problems.push({ frame: frame.index, problem: `its frame ${frame.index} is not authentic` })
    } else if (contentId(sealing, plain) !== frame.contentId) {
      problems.push({ frame: frame.index, problem: `its frame ${frame.index} has another content than its id says` })
    } else {
      for (const stretch of stretches.get(frame.index) ?? []) {
        const pages = checkPages(plain, { ...stretch, blockSizeBytes: task.blockSizeBytes })
        pagesChecked += pages.count
        problems.push(...pages.bad.map((problem) => ({ frame: frame.index, problem })))
      }
    }
  }
  return { bytesRead: container.sizeBytes, pagesChecked, problems }
}

async function checkSegment(
  reader: ObjectReader,
  sealing: Sealing,
  subject: { readonly container: Container; readonly task: DeepTask & { type: 'segment' } },
): Promise<DeepResult> {
  const { container, task } = subject
  const problems: DeepProblem[] = []
  const hasher = createContentHasher(sealing.contentKey)
  for await (const { frame, plain } of readAllFrames(reader, container)) {
    if (plain) hasher.update(plain)
    else problems.push({ frame: frame.index, problem: `its frame ${frame.index} is not authentic` })
  }
  if (problems.length === 0 && hasher.digest() !== task.contentId)
    problems.push({ problem: 'it has another content than its id says' })
  return { bytesRead: container.sizeBytes, pagesChecked: 0, problems }
}

/** Every frame in the order of their places, with its plaintext where it is authentic. */
async function* readAllFrames(
  reader: ObjectReader,
  container: Container,
): AsyncGenerator<{ readonly frame: FrameLocation; readonly plain: Uint8Array | undefined }> {
  const frames = container.frames.toSorted((left, right) => left.offsetBytes - right.offsetBytes)
  for (let start = 0; start < frames.length; ) {
    const offsetBytes = frames[start]?.offsetBytes ?? 0
    let end = start
    let lengthBytes = 0
    for (
      let frame = frames[end];
      frame && (end === start || lengthBytes + frame.storedBytes <= READ_BYTES);
      frame = frames[end]
    ) {
      lengthBytes += frame.storedBytes
      end += 1
    }
    const bytes = await reader.get(container.key, { offsetBytes, lengthBytes })
    for (const frame of frames.slice(start, end)) {
      const at = frame.offsetBytes - offsetBytes
      const stored = bytes?.subarray(at, at + frame.storedBytes)
      yield { frame, plain: stored && openFrameSync(container.objectKey, frame, stored) }
    }
    start = end
  }
}

interface Stretch {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly firstBlock: number
}

function stretchesByFrame(numbers: Uint32Array): Map<number, Stretch[]> {
  const byFrame = new Map<number, Stretch[]>()
  for (let at = 0; at < numbers.length; at += STRETCH_FIELDS) {
    const [frame = 0, offsetBytes = 0, lengthBytes = 0, firstBlock = 0] = numbers.subarray(at, at + STRETCH_FIELDS)
    const stretches = byFrame.get(frame) ?? []
    stretches.push({ offsetBytes, lengthBytes, firstBlock })
    byFrame.set(frame, stretches)
  }
  return byFrame
}

/** At most a few blocks are named; a page's number is that in its relation. */
function checkPages(
  plain: Uint8Array,
  stretch: Stretch & { readonly blockSizeBytes: number },
): { readonly count: number; readonly bad: string[] } {
  const { offsetBytes, lengthBytes, firstBlock, blockSizeBytes } = stretch
  const bad = findBadPages(plain.subarray(offsetBytes, offsetBytes + lengthBytes), {
    firstBlockNumber: firstBlock,
    blockSizeBytes,
  })
  const count = Math.floor(lengthBytes / blockSizeBytes)
  if (bad.length === 0) return { count, bad: [] }
  const blocks = bad.slice(0, 5).map(({ blockNumber }) => blockNumber)
  const more = bad.length > blocks.length ? ` and ${bad.length - blocks.length} more` : ''
  return {
    count,
    bad: [`the page checksum of block ${blocks.join(', ')}${more} is wrong, though it was right when it was backed up`],
  }
}
