/**
 * Whether a server is under so much stress that work on it should wait. Pure. What was not measured (the role may not see it, the server
 * is on another machine) is no stress: a backup that never comes is the greater harm.
 */
/** Up to which limits a server counts as calm; `off` where one does not count, or altogether. What each means: docs/schedules.md. */
export type LoadGuardConfig =
  | 'off'
  | {
      /** Of the connections that the server allows, so many percent are active. Default: 80. */
      readonly activePercent?: number | 'off' | undefined
      /** WAL takes so long to be flushed by a standby. Default: 60. */
      readonly standbyLagSeconds?: number | 'off' | undefined
      /** The oldest wait for a lock. Default: 120. */
      readonly lockWaitSeconds?: number | 'off' | undefined
      /** Of the machine, when the server is on this one. Default: 4. */
      readonly loadPerProcessor?: number | 'off' | undefined
      /** So long a scheduled backup waits at most, and is held back at most while it runs. Default: 60. */
      readonly maxDelayMinutes?: number | undefined
    }

/** What a server is doing just now; absent: not known here. */
export interface ServerLoad {
  /** No connection was free: nothing else could be asked. */
  readonly isFull: boolean
  /** Sessions that work, without those of Retake, and how many connections there can be. */
  readonly sessions?: { readonly active: number; readonly most: number } | undefined
  /** How long WAL takes to be flushed by the slowest standby. */
  readonly standbyLagSeconds?: number | undefined
  /** How long the oldest wait for a lock has lasted. */
  readonly lockWaitSeconds?: number | undefined
  /** The machine of the server, when that is this one. */
  readonly machine?: { readonly loadAverage: number; readonly processors: number } | undefined
}

export interface LoadLimits {
  readonly activePercent: number
  readonly standbyLagSeconds: number
  readonly lockWaitSeconds: number
  readonly loadPerProcessor: number
  /** How long scheduled work waits at most, and is held back at most once it has begun. */
  readonly maxDelayMs: number
}

/** Generous: an ordinary busy day stays below. */
export const DEFAULT_LOAD_LIMITS: LoadLimits = {
  activePercent: 80,
  standbyLagSeconds: 60,
  lockWaitSeconds: 120,
  loadPerProcessor: 4,
  maxDelayMs: 60 * 60_000,
}

/** The limits of a configuration; undefined: nothing is guarded. A limit that is `off` is never reached. */
export function loadLimits(config: LoadGuardConfig | undefined): LoadLimits | undefined {
  if (config === 'off') return undefined
  const { maxDelayMinutes, ...given } = config ?? {}
  const limit = (name: keyof typeof given & keyof LoadLimits) => {
    const value = given[name]
    return value === 'off' ? Number.POSITIVE_INFINITY : (value ?? DEFAULT_LOAD_LIMITS[name])
  }
  return {
    activePercent: limit('activePercent'),
    standbyLagSeconds: limit('standbyLagSeconds'),
    lockWaitSeconds: limit('lockWaitSeconds'),
    loadPerProcessor: limit('loadPerProcessor'),
    maxDelayMs: maxDelayMinutes === undefined ? DEFAULT_LOAD_LIMITS.maxDelayMs : maxDelayMinutes * 60_000,
  }
}

/** Why the server is under stress, each reason as part of a sentence; empty: it is not. */
export function judgeLoad(load: ServerLoad, limits: LoadLimits): string[] {
  const { sessions, standbyLagSeconds = 0, lockWaitSeconds = 0, machine } = load
  const reasons: string[] = []
  if (load.isFull) reasons.push('no connection is free')
  if (sessions && sessions.active * 100 >= sessions.most * limits.activePercent) {
    reasons.push(`${sessions.active} of ${sessions.most} connections active`)
  }
  if (lockWaitSeconds >= limits.lockWaitSeconds) {
    reasons.push(`a lock waited for since ${Math.floor(lockWaitSeconds)} s`)
  }
  if (standbyLagSeconds >= limits.standbyLagSeconds) reasons.push(`a standby ${Math.floor(standbyLagSeconds)} s behind`)
  if (machine && machine.loadAverage >= limits.loadPerProcessor * machine.processors) {
    reasons.push(`load average ${machine.loadAverage.toFixed(1)} on ${machine.processors} processors`)
  }
  return reasons
}
