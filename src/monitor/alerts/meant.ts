/** What people have said is meant, taken out of what the next look is compared with. Pure. */
import type { Observation } from '../checks/observation.ts'
import type { ClusterAlerts } from './state.ts'

/** The rules whose alerts are about what an observation remembers. */
const SHRUNK = ['critical-table-shrunk']
const DELETED = ['mass-deletion', 'mass-deletion-elsewhere']

/**
 * What vanished before somebody said that this is meant is no loss any more: what is there is what there is to lose.
 */
export function withoutMeant(earlier: Observation, states: ClusterAlerts): Observation {
  const shrunk = meantOf(states, SHRUNK)
  const deleted = meantOf(states, DELETED)
  const { journal } = earlier
  return {
    ...earlier,
    tables: earlier.tables.map(({ losses = [], ...table }) => {
      const left = losses.filter(({ seenAt }) => !isMeant(shrunk, { target: table.table, seenAt }))
      return left.length > 0 ? { ...table, losses: left } : table
    }),
    ...(journal
      ? {
          journal: {
            ...journal,
            incidents: journal.incidents.filter(({ target, seenAt }) => !isMeant(deleted, { target, seenAt })),
          },
        }
      : {}),
  }
}

/** Until when what happened to each target is meant. */
type Meant = ReadonlyMap<string, number>

function meantOf({ alerts }: ClusterAlerts, rules: readonly string[]): Meant {
  return new Map(
    Object.values(alerts).flatMap(({ rule, target, meantUntil }) =>
      rules.includes(rule) && meantUntil !== undefined ? [[target, Date.parse(meantUntil)] as const] : [],
    ),
  )
}

function isMeant(meant: Meant, { target, seenAt }: { readonly target: string; readonly seenAt: string }): boolean {
  return Date.parse(seenAt) <= (meant.get(target) ?? Number.NEGATIVE_INFINITY)
}
