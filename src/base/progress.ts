/**
 * What long work tells its watcher. The library never prints: a command turns these into a progress bar or one line per phase.
 * `done` and `total` are in the unit given; `total` is absent while it is unknown.
 */
export interface Progress {
  readonly phase: string
  readonly done: number
  readonly total?: number | undefined
  readonly unit: 'bytes' | 'files' | 'segments' | 'objects' | 'steps'
  /** A sentence for people about this moment, when there is something to say. */
  readonly message?: string | undefined
}

export type ProgressListener = (progress: Progress) => void

/** Where notable events of long-running work go; fields are data, never secrets. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
