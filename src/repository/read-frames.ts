/** All frames of a container, in order: with few requests, and before they are wanted, because a storage may be far away. */
import type { Container } from './container.ts'

/** Frames that lie one after the other. */
interface Run {
  readonly first: number
  readonly count: number
}

/** Of the content that one request is for. */
const RUN_BYTES = 4 * 1024 * 1024
/** Requests that are under way at once. */
const RUNS_AHEAD = 2

/** @throws RetakeError `repo.damaged` */
export async function* readFrames(container: Container): AsyncGenerator<Uint8Array> {
  const left = runsOf(container)
  const ahead: Promise<readonly Uint8Array[]>[] = []
  while (left.length > 0 || ahead.length > 0) {
    for (let run = left[0]; run && ahead.length < RUNS_AHEAD; run = left[0]) {
      left.shift()
      const frames = readRun(container, run)
      // Whoever stops early does not want to know; whoever goes on is told in its turn.
      frames.catch(() => {})
      ahead.push(frames)
    }
    yield* (await ahead.shift()) ?? []
  }
}

function runsOf({ frames }: Pick<Container, 'frames'>): Run[] {
  const runs: { first: number; count: number }[] = []
  let bytes = 0
  let end = -1
  for (const [index, { offsetBytes, storedBytes, plainBytes }] of frames.entries()) {
    const last = runs.at(-1)
    bytes += plainBytes
    if (last && offsetBytes === end && bytes <= RUN_BYTES) last.count += 1
    else {
      runs.push({ first: index, count: 1 })
      bytes = plainBytes
    }
    end = offsetBytes + storedBytes
  }
  return runs
}

async function readRun(container: Container, { first, count }: Run): Promise<readonly Uint8Array[]> {
  const run = count > 1 ? await container.readRun(first, count) : undefined
  if (run) return run
  const frames: Uint8Array[] = []
  for (let index = first; index < first + count; index += 1) frames.push(await container.readFrame(index))
  return frames
}
