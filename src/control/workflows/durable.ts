/**
 * Work that survives the process that does it: our own small view of it, so that the library behind it can be replaced. Each step is
 * done at least once and its result is remembered; what follows a remembered step goes on where it was, on whichever server.
 */

export interface WorkflowContext {
  readonly id: string
  /**
   * Does something, and remembers what it returned (JSON). A step that was interrupted is done again, so it must be harmless to do twice.
   * Its signal fires when the workflow is cancelled, and when this server stops.
   */
  readonly step: <T>(name: string, work: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** Waits; a restart does not begin the wait anew. */
  readonly sleep: (ms: number) => Promise<void>
}

export type Workflow<I> = (context: WorkflowContext, input: I) => Promise<void>

export interface StartOptions<I> {
  /** Started once, however often it is asked for. */
  readonly id: string
  /** Of those with the same one, one runs at a time, on all servers. */
  readonly partition: string
  readonly input: I
}

export interface Workflows<I> {
  readonly start: (options: StartOptions<I>) => Promise<void>
  /** The running step's signal fires; nothing further is done. */
  readonly cancel: (id: string) => Promise<void>
  /** Takes over what was running on servers that are not among the living. @returns the ids */
  readonly takeOver: (living: ReadonlySet<string>) => Promise<string[]>
  /** The ids of workflows that have not ended. */
  readonly unfinished: () => Promise<Set<string>>
  /** Takes out what ended before then. @returns how many */
  readonly forget: (endedBefore: Date) => Promise<number>
  /** Begins nothing new. Then waits for what is running; what is not done in time is stopped, and left to the others, or to the next start. */
  readonly stop: (options: { readonly graceMs: number }) => Promise<void>
}
