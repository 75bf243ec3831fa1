/** All frames of a container, in order: with few requests, and before they are wanted, because a storage may be far away. */
import type { Container } from './container.ts'

/** Frames that lie one after the other. */
interface Run {
  readonly first: number
  readonly count: number
}

/** Of the content that one request is for; the first one for less, because some want nothing but the beginning. */
const RUN_BYTES = 4 * 1024 * 1024
const FIRST_RUN_BYTES = 1024 * 1024
/** Requests that are under way at once. */
const RUNS_AHEAD = 2

/** @throws RetakeError `repo.damaged` when it comes to a frame that is not what was written */
export async function* readFrames(container: Container): AsyncGenerator<Uint8Array> {
  const left = runsOf(container)
  const ahead: { readonly run: Run; readonly read: Promise<readonly Uint8Array[] | undefined> }[] = []
  while (left.length > 0 || ahead.length > 0) {
    for (let run = left[0]; run && ahead.length < RUNS_AHEAD; run = left[0]) {
      left.shift()
      const read = container.readRun(run.first, run.count)
      // Whoever stops early does not want to know; whoever goes on is told in its turn.
      read.catch(() => {})
      ahead.push({ run, read })
    }
    const next = ahead.shift()
    if (next) yield* (await next.read) ?? readEach(container, next.run)
  }
}

/** One of them is damaged: those before it are given out, and another copy may have it whole. */
async function* readEach(container: Container, { first, count }: Run): AsyncGenerator<Uint8Array> {
  for (let index = first; index < first + count; index += 1) yield await container.readFrame(index)
}

function runsOf({ frames }: Pick<Container, 'frames'>): Run[] {
  const runs: { first: number; count: number }[] = []
  let bytes = 0
  let end = -1
  for (const [index, { offsetBytes, storedBytes, plainBytes }] of frames.entries()) {
    const last = runs.at(-1)
    bytes += plainBytes
    const limitBytes = runs.length === 1 ? FIRST_RUN_BYTES : RUN_BYTES
    if (last && offsetBytes === end && bytes <= limitBytes) last.count += 1
    else {
      runs.push({ first: index, count: 1 })
      bytes = plainBytes
    }
    end = offsetBytes + storedBytes
  }
  return runs
}
