/** What was promised beside what was measured. A promise of which nothing is measured is not kept and not broken: it is unknown. */
import type { Config } from '../../engine/config-options.ts'
import { evidenceOf } from './evidence.ts'
import type { HealthInput } from './input.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

export interface Objective {
  readonly name: string
  readonly title: string
  readonly kind: 'rto' | 'rpo'
  readonly targetMs: number
  readonly measuredMs?: number | undefined
  readonly state: 'met' | 'missed' | 'unknown'
  /** What was measured, or why nothing was. */
  readonly finding: string
}

export interface ObjectiveTargets {
  readonly rtoCriticalMs: number
  readonly rtoApplicationMs: number
  readonly rtoDataMs: number
  readonly rpoPointInTimeMs: number
  readonly rpoBackupMs: number
  readonly rpoAcceptableMs: number
}

export const DEFAULT_RTO_APPLICATION_HOURS = 8

export function objectiveTargets(config: Config): ObjectiveTargets {
  return {
    rtoCriticalMs: (config.rtoCriticalHours ?? 4) * HOUR_MS,
    rtoApplicationMs: (config.rtoApplicationHours ?? DEFAULT_RTO_APPLICATION_HOURS) * HOUR_MS,
    rtoDataMs: (config.rtoDataHours ?? 24) * HOUR_MS,
    rpoPointInTimeMs: (config.rpoTargetSeconds ?? 60) * 1000,
    rpoBackupMs: (config.rpoBackupHours ?? 24) * HOUR_MS,
    rpoAcceptableMs: (config.rpoAcceptableMinutes ?? 60) * MINUTE_MS,
  }
}

export function compareObjectives(input: HealthInput, targets: ObjectiveTargets): Objective[] {
  const { measured, why } = evidenceOf(input)
  const rtoMs = measured('drill')?.rtoMs
  const exposure = measured('exposure')
  const backup = measured('backup')
  const rto = (name: string, title: string, targetMs: number): Objective => ({
    name,
    title,
    kind: 'rto',
    targetMs,
    ...compared(rtoMs, targetMs),
    finding: rtoMs === undefined ? 'Not measured: no drill has passed.' : 'The last drill that passed.',
  })
  const rpo = (
    name: string,
    title: string,
    facts: Omit<Objective, 'name' | 'title' | 'kind' | 'state'>,
  ): Objective => ({
    name,
    title,
    kind: 'rpo',
    ...compared(facts.measuredMs, facts.targetMs),
    ...facts,
  })
  const now = { measuredMs: exposure?.exposureMs, finding: why('exposure').reason }
  return [
    rto('rto-critical', 'critical systems are back', targets.rtoCriticalMs),
    rto('rto-application', 'the whole application is back', targets.rtoApplicationMs),
    rto('rto-data', 'all data is back', targets.rtoDataMs),
    rpo('rpo-point-in-time', 'lost with point-in-time recovery', { targetMs: targets.rpoPointInTimeMs, ...now }),
    rpo('rpo-backup', 'lost with the last backup alone', {
      targetMs: targets.rpoBackupMs,
      measuredMs: backup?.usable === 0 ? undefined : backup?.ageMs,
      finding: why('backup').reason,
    }),
    rpo('rpo-acceptable', 'ever acceptable to lose', { targetMs: targets.rpoAcceptableMs, ...now }),
  ]
}

function compared(measuredMs: number | undefined, targetMs: number): Pick<Objective, 'state' | 'measuredMs'> {
  if (measuredMs === undefined) return { state: 'unknown' }
  return { state: measuredMs <= targetMs ? 'met' : 'missed', measuredMs }
}
