/** The numbers that are watched over months, each beside its target. Undefined is unknown, never zero. */
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
  readonly drills: { readonly lastOutcome?: 'passed' | 'failed' | undefined; readonly target: number }
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
    drills: { target: 1, ...lastDrill(measured('drill')?.lastOutcome) },
    sinceLastSuccess: {
      ...(backup?.ageMs === undefined ? {} : { ageMs: backup.ageMs }),
      ...(backup ? { limitMs: backup.maxAgeMs } : {}),
    },
  }
}

function lastDrill(lastOutcome: 'passed' | 'failed' | undefined): Pick<Headline['drills'], 'lastOutcome'> {
  return lastOutcome === undefined ? {} : { lastOutcome }
}
