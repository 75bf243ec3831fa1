/** Time is passed in, never reached for: decisions stay pure and tests stay exact. */
export interface Clock {
  /** The wall clock. */
  now(): Date
  /** Milliseconds that never run backwards; only differences mean something. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
}
