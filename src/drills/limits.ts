/** What a drill may take of the machine that it runs on. */
import { statfs } from 'node:fs/promises'
import { RetakeError } from '../base/errors.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'

export const DEFAULT_TIME_LIMIT_MS = 6 * 3_600_000
/** The server's buffers and maintenance memory, its processes, and what laying out takes. */
const MEMORY_BYTES = 384 * 1024 * 1024
/** So much stays free for whoever else lives on that disk; a drill that comes near ends. */
const SPARE_BYTES = 32 * 1024 * 1024
const LOOK_EVERY_MS = 2000
/** PostgreSQL keeps segments for a while; more than this it recycles. */
const MOST_WAL_BYTES = 1024 * 1024 * 1024

/** What the sandbox will take: the files, and the WAL that is ready for the replay. */
export function neededBytes({ files, wal }: Pick<RestorePlan, 'files' | 'wal'>): number {
  return files.writtenBytes + Math.min(wal.bytes, MOST_WAL_BYTES)
}

/**
 * Refuses with numbers, before anything is fetched.
 * @throws RetakeError `dependency.missing` when there are no programs of that version, `restore.refused` for everything else
 */
export function assertFits(
  plan: RestorePlan,
  machine: { readonly maxBytes: number | undefined; readonly availableMemoryBytes: number },
): void {
  const problem = plan.preflight.find(({ status }) => status === 'failed')
  if (problem) {
    const code = problem.name === 'server programs' ? 'dependency.missing' : 'restore.refused'
    const why = plan.preflight
      .filter(({ status }) => status === 'failed')
      .map(({ name, detail }) => `${name}: ${detail}`)
    throw new RetakeError(code, `No recovery can be rehearsed here: ${why.join('; ')}.`, { hint: hintOf(problem) })
  }
  const needed = neededBytes(plan)
  const { maxBytes, availableMemoryBytes } = machine
  if (maxBytes !== undefined && needed > maxBytes) {
    throw new RetakeError(
      'restore.refused',
      `No recovery is rehearsed: it needs ${megabytes(needed)} of disk, and ${megabytes(maxBytes)} are allowed.`,
      { hint: 'Allow more: --max-disk, or drillMaxDiskGigabytes in the configuration.' },
    )
  }
  if (availableMemoryBytes >= MEMORY_BYTES) return
  throw new RetakeError(
    'restore.refused',
    `No recovery is rehearsed: it needs ${megabytes(MEMORY_BYTES)} of memory, and ${megabytes(availableMemoryBytes)} are free.`,
    { hint: 'Run it at another time, or on another machine: it needs only the repository and its key.' },
  )
}

/** The options of a restore are named otherwise than those of a drill. */
function hintOf({ name, fix }: RestorePlan['preflight'][number]): string | undefined {
  return name === 'space' || name === 'target directory'
    ? 'Name a directory on another disk: --dir DIR, or drillDirectory in the configuration.'
    : fix
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`

export interface Watch extends AsyncDisposable {
  /** Fires when the caller aborts, and when a limit is reached, with the error to throw as its reason. */
  readonly signal: AbortSignal
}

/** Ends the drill when its time is over, or when the disk is nearly full. */
export function watchLimits(options: {
  readonly signal: AbortSignal
  readonly timeLimitMs: number
  readonly directory: string
}): Watch {
  const { timeLimitMs, directory } = options
  const controller = new AbortController()
  const hours = `${(timeLimitMs / 3_600_000).toFixed(2)} hours`
  const timer = setTimeout(
    () =>
      controller.abort(
        new RetakeError('timeout', `The drill was not over after ${hours}, its time limit, and was ended.`),
      ),
    // The longest that a timer can wait; nobody rehearses for 24 days.
    Math.min(timeLimitMs, 2 ** 31 - 1),
  )
  let looking: Promise<void> = Promise.resolve()
  const looks = setInterval(() => {
    looking = freeBytes(directory).then((free) => {
      if (free === undefined || free >= SPARE_BYTES) return
      const message = `The drill was ended because the disk of ${directory} was nearly full (${megabytes(free)} free).`
      controller.abort(
        new RetakeError('storage.full', message, { hint: 'Name a directory on a larger disk: --dir DIR.' }),
      )
    })
  }, LOOK_EVERY_MS)
  return {
    signal: AbortSignal.any([options.signal, controller.signal]),
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      clearInterval(looks)
      await looking
    },
  }
}

/** Undefined: it cannot be told just now. */
async function freeBytes(directory: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  } catch {
    return undefined
  }
}
