/**
 * Manifest entries as compact JSON lines, and back. A cluster of 10 TB has ten million frames, so each is an array without
 * names; `docs/design/repository-format.md` lists them. Decoding is strict: what is not exactly in the format is damage.
 */
import { assert } from '../base/errors.ts'
import type { FileEntry, FileRun, FrameRef, ManifestEntry } from './manifest.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'

/** One line, without the line break. @throws Error when the entry breaks a rule of the format: a defect of the writer */
export function encodeEntry(entry: ManifestEntry, packCount: number): string {
  switch (entry.type) {
    case 'pack':
      return JSON.stringify(['p', entry.packId, entry.salt, entry.epoch])
    case 'directory':
      return JSON.stringify(['d', entry.path, entry.mode])
    case 'link':
      return JSON.stringify(['l', entry.path, entry.target])
    case 'file': {
      const problem = findRunProblem(entry, packCount)
      assert(problem === undefined, `runs of ${entry.path}: ${problem}`)
      const { path, sizeBytes, mode, modifiedMs } = entry
      const more = encodeMore(entry)
      const line: unknown[] = ['f', path, sizeBytes, mode, Math.round(modifiedMs), encodeRuns(entry.runs)]
      return JSON.stringify(more === undefined ? line : [...line, more])
    }
  }
}

/** A frame is described where it is first used in the line; later runs name it by its place among those of the line. */
function encodeRuns(runs: readonly FileRun[]): unknown[] {
  const frames = new Map<string, number>()
  return runs.map(({ lengthBytes, frameOffsetBytes, frame }) => {
    if (frame === undefined) return lengthBytes
    const key = frameKey(frame)
    const known = frames.get(key)
    if (known !== undefined) return [lengthBytes, frameOffsetBytes, known]
    frames.set(key, frames.size)
    const { pack, index, offsetBytes, storedBytes, plainBytes, contentId } = frame
    const codec = frame.codec === 'zstd' ? 0 : 1
    return [lengthBytes, frameOffsetBytes, pack, index, offsetBytes, storedBytes, plainBytes, codec, contentId]
  })
}

/** All of it: that a place in a pack has one description is for verify to check, not for an encoder to assume. */
function frameKey({ pack, index, offsetBytes, storedBytes, plainBytes, codec, contentId }: FrameRef): string {
  return `${pack} ${index} ${offsetBytes} ${storedBytes} ${plainBytes} ${codec} ${contentId}`
}

function encodeMore(entry: FileEntry): object | undefined {
  const { tornBlocks = [], corruptBlocks = [], allVisible, contentId } = entry
  const more = {
    ...(tornBlocks.length > 0 ? { torn: tornBlocks } : {}),
    ...(corruptBlocks.length > 0 ? { corrupt: corruptBlocks } : {}),
    ...(allVisible === undefined ? {} : { visible: allVisible }),
    ...(contentId === undefined ? {} : { content: contentId }),
  }
  return Object.keys(more).length > 0 ? more : undefined
}

/** The entry of a line, or undefined when the line is not in the format. */
export function decodeEntry(line: string, packCount: number): ManifestEntry | undefined {
  const value = parse(line)
  if (!Array.isArray(value)) return undefined
  const [type, first, second, third] = value as unknown[]
  if (typeof first !== 'string') return undefined
  switch (type) {
    case 'p':
      if (value.length !== 4 || !/^[0-9a-f]{32}$/.test(first) || !isText(second) || second.length !== 43)
        return undefined
      return isCount(third) ? { type: 'pack', packId: first, salt: second, epoch: third } : undefined
    case 'd':
      return value.length === 3 && isPath(first) && isMode(second)
        ? { type: 'directory', path: first, mode: second }
        : undefined
    case 'l':
      return value.length === 3 && isPath(first) && isText(second)
        ? { type: 'link', path: first, target: second }
        : undefined
    case 'f':
      return decodeFile(value, packCount)
    default:
      return undefined
  }
}

function decodeFile(value: readonly unknown[], packCount: number): FileEntry | undefined {
  const [, path, sizeBytes, mode, modifiedMs, rawRuns, rawMore] = value
  if (value.length !== 6 && value.length !== 7) return undefined
  if (
    !isPath(path) ||
    !isCount(sizeBytes) ||
    !isMode(mode) ||
    !Number.isSafeInteger(modifiedMs) ||
    !Array.isArray(rawRuns)
  )
    return undefined
  const runs = decodeRuns(rawRuns)
  if (runs === undefined) return undefined
  const base = { type: 'file', path, sizeBytes, mode, modifiedMs: modifiedMs as number, runs } as const
  if (findRunProblem(base, packCount) !== undefined) return undefined
  if (value.length === 6) return base
  const more = decodeMore(rawMore)
  return more && { ...base, ...more }
}

type MoreOfFile = Pick<FileEntry, 'tornBlocks' | 'corruptBlocks' | 'allVisible' | 'contentId'>

function decodeMore(value: unknown): MoreOfFile | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { torn = [], corrupt = [], visible, content, ...others } = value as Record<string, unknown>
  if (Object.keys(others).length > 0 || !isCountList(torn) || !isCountList(corrupt)) return undefined
  if (visible !== undefined && !(isText(visible) && /^[A-Za-z0-9_-]*$/.test(visible))) return undefined
  if (content !== undefined && !isText(content)) return undefined
  return {
    ...(torn.length > 0 ? { tornBlocks: torn } : {}),
    ...(corrupt.length > 0 ? { corruptBlocks: corrupt } : {}),
    ...(visible === undefined ? {} : { allVisible: visible }),
    ...(content === undefined ? {} : { contentId: content }),
  }
}

function decodeRuns(values: readonly unknown[]): FileRun[] | undefined {
  const runs: FileRun[] = []
  const frames: FrameRef[] = []
  let offsetBytes = 0
  for (const value of values) {
    const run = decodeRun(value, { offsetBytes, frames })
    if (run === undefined) return undefined
    runs.push(run)
    offsetBytes += run.lengthBytes
  }
  return runs
}

function decodeRun(
  value: unknown,
  before: { readonly offsetBytes: number; readonly frames: FrameRef[] },
): FileRun | undefined {
  const { offsetBytes, frames } = before
  if (isCount(value)) return { offsetBytes, lengthBytes: value, frameOffsetBytes: 0 }
  if (!Array.isArray(value)) return undefined
  const [lengthBytes, frameOffsetBytes, first] = value as unknown[]
  if (!isCount(lengthBytes) || !isCount(frameOffsetBytes) || !isCount(first)) return undefined
  if (value.length === 3) {
    const frame = frames[first]
    return frame && { offsetBytes, lengthBytes, frame, frameOffsetBytes }
  }
  const frame = value.length === 9 ? decodeFrame(value.slice(2)) : undefined
  if (frame === undefined) return undefined
  frames.push(frame)
  return { offsetBytes, lengthBytes, frame, frameOffsetBytes }
}

function decodeFrame(value: readonly unknown[]): FrameRef | undefined {
  const [pack, index, offsetBytes, storedBytes, plainBytes, codec, contentId] = value
  if (!isCount(pack) || !isCount(index) || !isCount(offsetBytes)) return undefined
  if (!isCount(storedBytes) || !isCount(plainBytes)) return undefined
  if ((codec !== 0 && codec !== 1) || !isText(contentId)) return undefined
  return { pack, index, offsetBytes, storedBytes, plainBytes, codec: codec === 0 ? 'zstd' : 'raw', contentId }
}

/** Runs adjoin, cover the file exactly, lie inside their frames, and name packs that were declared. */
function findRunProblem(entry: Pick<FileEntry, 'runs' | 'sizeBytes'>, packCount: number): string | undefined {
  let position = 0
  for (const { offsetBytes, lengthBytes, frame, frameOffsetBytes } of entry.runs) {
    if (offsetBytes !== position) return `a run begins at ${offsetBytes}, the one before it ends at ${position}`
    if (lengthBytes <= 0) return 'a run is empty'
    position += lengthBytes
    if (frame === undefined) continue
    if (frameOffsetBytes + lengthBytes > frame.plainBytes) return 'a run reaches past its frame'
    if (frame.plainBytes > MAX_FRAME_BYTES) return 'a frame is too large'
    if (frame.pack >= packCount) return `pack ${frame.pack} was not declared`
  }
  return position === entry.sizeBytes ? undefined : `they end at ${position}, the file at ${entry.sizeBytes}`
}

/** Relative, without `.` and `..`: a restore must not be led out of its directory. */
function isPath(value: unknown): value is string {
  if (!isText(value) || value === '' || value.includes('\0')) return false
  return value.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isMode(value: unknown): value is number {
  return isCount(value) && value <= 0o7777
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount)
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
