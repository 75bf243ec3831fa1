/** The frames of a container under the newest key of the cluster: same bytes inside, same places, another key. */
import { throwIfAborted } from '../../base/abort.ts'
import { assert } from '../../base/errors.ts'
import type { ObjectReader } from '../../storage/object-store.ts'
import { type Container, damaged } from '../container.ts'
import type { FrameLocation } from '../frame-location.ts'
import { resealFrame, type SealedFrame } from '../sealing.ts'
import type { Pace } from './pace.ts'

/** Frames that lie one after the other are fetched with reads of about this size. */
const READ_BYTES = 4 * 1024 * 1024

export interface ResealFramesOptions {
  /** Of the new object. Secret. */
  readonly objectKey: Uint8Array
  readonly pace: Pace
  readonly signal?: AbortSignal | undefined
}

export interface ResealedFrame {
  readonly location: FrameLocation
  readonly sealed: SealedFrame
}

/** In the order of their places. @throws RetakeError `repo.damaged` when a frame is not what was written */
export async function* resealFrames(
  reader: ObjectReader,
  source: Container,
  options: ResealFramesOptions,
): AsyncGenerator<ResealedFrame> {
  const frames = source.frames.toSorted((left, right) => left.offsetBytes - right.offsetBytes)
  for (const group of groupsOf(frames)) {
    const [first] = group
    assert(first, 'a group has a frame')
    const lengthBytes = group.reduce((sum, frame) => sum + frame.storedBytes, 0)
    throwIfAborted(options.signal)
    const bytes = await reader.get(source.key, { offsetBytes: first.offsetBytes, lengthBytes })
    for (const location of group) {
      const at = location.offsetBytes - first.offsetBytes
      const stored = bytes?.subarray(at, at + location.storedBytes)
      const sealed = stored && resealFrame({ from: source.objectKey, to: options.objectKey }, location, stored)
      if (sealed === undefined) throw damaged(source, `its frame ${location.index} is not authentic`)
      yield { location, sealed }
    }
    await options.pace.wait(lengthBytes)
  }
}

function* groupsOf(frames: readonly FrameLocation[]): Generator<FrameLocation[]> {
  let group: FrameLocation[] = []
  let lengthBytes = 0
  for (const frame of frames) {
    if (group.length > 0 && lengthBytes + frame.storedBytes > READ_BYTES) {
      yield group
      group = []
      lengthBytes = 0
    }
    group.push(frame)
    lengthBytes += frame.storedBytes
  }
  if (group.length > 0) yield group
}
