/** Cuts the files of a manifest into tasks of bounded size, each complete by itself: it goes to a worker thread. */
import type { FileEntry, FileRun, PackEntry } from '../../repository/manifest.ts'
import type { FileShape } from '../restore-batches.ts'

/** A file, or a part of a large one, that may be there already. */
export interface DeltaFile {
  readonly shape: FileShape
  /** So long was the file before anything was changed; 0 when there was none. */
  readonly presentBytes: number
  readonly runs: readonly FileRun[]
}

export interface DeltaTask {
  /** What the runs' frames count. */
  readonly packs: readonly PackEntry[]
  readonly files: readonly DeltaFile[]
}

const TASK_BYTES = 16 * 1024 * 1024
const TASK_RUNS = 2048
/** Beyond this a task ends also inside of a frame, which then is fetched twice: of a hundred thousand equal files there is one frame. */
const MOST_TASK_RUNS = 4 * TASK_RUNS

export class DeltaTasks {
  readonly #packs: PackEntry[] = []
  #files: { readonly shape: FileShape; readonly presentBytes: number; readonly runs: FileRun[] }[] = []
  #local = new Map<number, number>()
  #bytes = 0
  #runs = 0
  #lastFrame = ''

  addPack(entry: PackEntry): void {
    this.#packs.push(entry)
  }

  /** Gives out a task whenever one is full. Small files that lie together in a frame stay together, to be compared at once. */
  *addFile(
    entry: FileEntry,
    present: { readonly shape: FileShape; readonly presentBytes: number },
  ): Generator<DeltaTask> {
    let runs: FileRun[] = []
    this.#files.push({ ...present, runs })
    for (const run of entry.runs) {
      const frame = run.frame ? `${run.frame.pack}/${run.frame.index}` : ''
      const mayEnd = frame === '' || frame !== this.#lastFrame || this.#runs >= MOST_TASK_RUNS
      if (this.#isFull() && mayEnd) {
        yield this.#take()
        runs = []
        this.#files.push({ ...present, runs })
      }
      runs.push(run.frame ? { ...run, frame: { ...run.frame, pack: this.#localPack(run.frame.pack) } } : run)
      this.#lastFrame = frame
      this.#bytes += run.lengthBytes
      this.#runs += 1
    }
  }

  *flush(): Generator<DeltaTask> {
    if (this.#files.some((file) => file.runs.length > 0)) yield this.#take()
  }

  #isFull(): boolean {
    return this.#bytes >= TASK_BYTES || this.#runs >= TASK_RUNS
  }

  #localPack(pack: number): number {
    const local = this.#local.get(pack) ?? this.#local.size
    this.#local.set(pack, local)
    return local
  }

  #take(): DeltaTask {
    const packs = [...this.#local.keys()].map((number) => {
      const pack = this.#packs[number]
      if (!pack) throw new Error(`assertion failed: the manifest declares pack ${number} before it is referred to`)
      return pack
    })
    const files = this.#files.filter((file) => file.runs.length > 0)
    this.#files = []
    this.#local = new Map()
    this.#bytes = 0
    this.#runs = 0
    return { packs, files }
  }
}
