/** A rule from what is said of it, with the usual where nothing is said. */
import type { AlertRule } from '../rule.ts'
import { MINUTE_MS } from '../sightings.ts'

type Facts = Pick<AlertRule, 'name' | 'title' | 'severity' | 'effect' | 'checks' | 'look'> &
  Partial<Pick<AlertRule, 'keepFiringMs' | 'inhibitedBy' | 'endsWithAcknowledgement' | 'lookWithout'>> & {
    readonly forMinutes: number
  }

export const rule = ({
  forMinutes,
  keepFiringMs = 5 * MINUTE_MS,
  inhibitedBy = [],
  endsWithAcknowledgement = false,
  ...facts
}: Facts): AlertRule => ({
  ...facts,
  forMs: forMinutes * MINUTE_MS,
  keepFiringMs,
  inhibitedBy,
  endsWithAcknowledgement,
})

/** Without these nothing else can be known, or follows from it. */
export const NO_SERVER = ['database-unreachable']
export const NO_REPOSITORY = ['repository-unreachable']
