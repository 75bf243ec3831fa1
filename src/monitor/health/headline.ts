/** The numbers that are watched over months, each beside its target. Undefined is unknown, never zero. */
import type { Measurements } from '../checks/measurements.ts'
import { evidenceOf } from './evidence.ts'
import type { HealthInput } from './input.ts'

export interface Headline {
  /** Of the minutes since the first moment that is held, at most 30 days: the share whose every moment can be restored. */
  readonly recoverable: { readonly share?: number | undefined; readonly observedMs: number; readonly target: number }
  /** Of the backups that were due. With few of them the share says little, so their number stands beside it. */
  readonly runs: {
    readonly share?: number | undefined
    readonly slots: number
    readonly missed: number
    readonly since?: string | undefined
    readonly target: number
  }
  readonly completion: { readonly lastMs?: number | undefined; readonly targetMs: number }
  /** Of the drills on record that came to a result, at most the last 24. */
  readonly drills: {
    readonly share?: number | undefined
    readonly counted: number
    readonly lastOutcome?: 'passed' | 'failed' | undefined
    readonly target: number
  }
  readonly sinceLastSuccess: { readonly ageMs?: number | undefined; readonly limitMs?: number | undefined }
}

export function headlineOf(input: HealthInput): Headline {
  const { measured, history, targets } = evidenceOf(input)
  const wal = measured('wal')
  const backup = measured('backup')
  return {
    recoverable: {
      observedMs: wal?.observedMs ?? 0,
      target: targets.successShare,
      ...(wal?.recoverableShare === undefined ? {} : { share: wal.recoverableShare }),
    },
    runs: {
      slots: history?.slots ?? 0,
      missed: history?.missed ?? 0,
      target: targets.successShare,
      ...(history ? { share: 1 - history.missed / history.slots, since: history.since } : {}),
    },
    completion: { targetMs: targets.completionMs, ...(backup?.last ? { lastMs: backup.last.durationMs } : {}) },
    drills: drillsOf(measured('drill')),
    sinceLastSuccess: {
      ...(backup?.ageMs === undefined ? {} : { ageMs: backup.ageMs }),
      ...(backup ? { limitMs: backup.maxAgeMs } : {}),
    },
  }
}

function drillsOf(drill: Measurements['drill'] | undefined): Headline['drills'] {
  const { counted = 0, succeeded = 0, lastOutcome } = drill ?? {}
  return {
    counted,
    target: 1,
    ...(counted === 0 ? {} : { share: succeeded / counted }),
    ...(lastOutcome === undefined ? {} : { lastOutcome }),
  }
}
