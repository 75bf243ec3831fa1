/** What the application needs. */
import { lossFix, lossInWords } from '../../checks/tables.ts'
import type { AlertRule } from '../rule.ts'
import { eachMeasured } from '../sightings.ts'
import { NO_SERVER, rule } from './make-rule.ts'

export const tableRules: readonly AlertRule[] = [
  rule({
    name: 'critical-table-missing',
    title: 'a critical table is missing',
    severity: 'critical',
    forMinutes: 2,
    inhibitedBy: NO_SERVER,
    effect:
      'The application does not work without it. Choose a moment just before the loss; the plan says what it brings back.',
    checks: ['critical-tables'],
    look: eachMeasured('critical-tables', ({ missing }) =>
      missing.filter(({ tier }) => tier !== 'low').map(({ table, tier }) => missingTable(table, tier)),
    ),
  }),
  rule({
    name: 'minor-table-missing',
    title: 'a table of the tier low is missing',
    severity: 'warning',
    forMinutes: 2,
    inhibitedBy: NO_SERVER,
    effect: 'Choose a moment just before the loss; the plan says what it brings back.',
    checks: ['critical-tables'],
    look: eachMeasured('critical-tables', ({ missing }) =>
      missing.filter(({ tier }) => tier === 'low').map(({ table, tier }) => missingTable(table, tier)),
    ),
  }),
  rule({
    name: 'critical-table-shrunk',
    title: 'a critical table has lost most of its rows',
    severity: 'warning',
    forMinutes: 0,
    endsWithAcknowledgement: true,
    inhibitedBy: NO_SERVER,
    effect: 'A mass deletion: the moment just before it is in the recovery window for as long as retention keeps it.',
    checks: ['critical-tables'],
    look: eachMeasured(
      'critical-tables',
      ({ tables, shrunk }) =>
        tables
          .filter(({ table }) => shrunk.includes(table))
          .map((table) => ({
            target: table.table,
            finding: lossInWords(table),
            fix: lossFix(table),
            newestAt: table.losses?.at(-1)?.seenAt,
          })),
      // One that is missing altogether has nothing back.
      ({ tables, shrunk }) =>
        tables.filter(({ table, losses }) => losses && !shrunk.includes(table)).map(({ table }) => table),
    ),
  }),
]

function missingTable(table: string, tier: string) {
  return {
    target: table,
    finding: `The table ${table} (${tier}) does not exist.`,
    fix: 'retake restore plan --at TIME_BEFORE --to DIR',
  }
}
