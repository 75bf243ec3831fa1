/** What people have said is meant, taken out of what the next look is compared with. Pure. */
import type { Observation } from '../checks/observation.ts'
import type { ClusterAlerts } from './state.ts'

/** The rule whose alerts are about rows that an observation remembers. */
const SHRUNK = 'critical-table-shrunk'

/** Rows that vanished before somebody said that this is meant are no loss any more: what is there is what there is to lose. */
export function withoutMeant(earlier: Observation, states: ClusterAlerts): Observation {
  const meant = new Map(
    Object.values(states.alerts).flatMap(({ rule, target, meantUntil }) =>
      rule === SHRUNK && meantUntil !== undefined ? [[target, Date.parse(meantUntil)] as const] : [],
    ),
  )
  return {
    ...earlier,
    tables: earlier.tables.map(({ losses = [], ...table }) => {
      const left = losses.filter(
        ({ seenAt }) => Date.parse(seenAt) > (meant.get(table.table) ?? Number.NEGATIVE_INFINITY),
      )
      return left.length > 0 ? { ...table, losses: left } : table
    }),
  }
}
