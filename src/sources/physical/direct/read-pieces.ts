/** Fills a frame from files, in whichever thread stores it. */
import { readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FramePiece } from '../frame-cutter.ts'
import { isGone } from './walk.ts'

/** Reads what is not in the frame yet. A file that has become shorter is filled up with zeros, as the server's own backups are: the log says where it ends. */
export function readPieces(frame: Uint8Array, pieces: readonly FramePiece[]): void {
  for (const { descriptor, fileOffsetBytes, frameOffsetBytes, lengthBytes } of pieces) {
    if (descriptor === undefined) continue
    const part = frame.subarray(frameOffsetBytes, frameOffsetBytes + lengthBytes)
    part.fill(0, readFully(descriptor, part, fileOffsetBytes))
  }
}

/** Reads until `into` is full or the file ends; returns how many bytes there were. */
export function readFully(descriptor: number, into: Uint8Array, fileOffsetBytes: number): number {
  let done = 0
  while (done < into.length) {
    const count = readSync(descriptor, into, done, into.length - done, fileOffsetBytes + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** Reads a block of the server's files again; undefined when it is not there any more, and cut short where the file ends. */
export async function readBlock(
  dataDirectory: string,
  place: { readonly path: string; readonly offsetBytes: number; readonly lengthBytes: number },
): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(join(dataDirectory, place.path))
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(place.lengthBytes),
      position: place.offsetBytes,
    })
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}
