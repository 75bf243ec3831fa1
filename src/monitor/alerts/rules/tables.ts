/** What the application needs. */
import { incidentFix, incidentInWords } from '../../checks/mass-deletions.ts'
import type { MassDeletion } from '../../checks/measurements.ts'
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
  rule({
    name: 'mass-deletion',
    title: 'a critical table, or a database, was emptied by the mass',
    severity: 'critical',
    forMinutes: 0,
    endsWithAcknowledgement: true,
    effect:
      'The log says when and by which transaction: everything that was committed before can be brought back, for as long as retention keeps it.',
    checks: ['mass-deletions'],
    look: eachMeasured('mass-deletions', ({ incidents }) => latestOfEach(incidents.filter(isGrave))),
  }),
  rule({
    name: 'mass-deletion-elsewhere',
    title: 'a table that nobody has called critical was emptied by the mass',
    severity: 'warning',
    forMinutes: 0,
    endsWithAcknowledgement: true,
    effect:
      'The log says when and by which transaction: everything that was committed before can be brought back, for as long as retention keeps it.',
    checks: ['mass-deletions'],
    look: eachMeasured('mass-deletions', ({ incidents }) =>
      latestOfEach(incidents.filter((incident) => !isGrave(incident))),
    ),
  }),
]

const isGrave = ({ kind, tier }: MassDeletion): boolean =>
  kind === 'drop-database' || tier === 'high' || tier === 'medium'

/** One for each table, because there is one alert for each. */
function latestOfEach(incidents: readonly MassDeletion[]) {
  const latest = new Map(incidents.map((incident) => [incident.target, incident]))
  return [...latest.values()].map((incident) => ({
    target: incident.target,
    finding: incidentInWords(incident),
    fix: incidentFix(incident),
    newestAt: incident.seenAt,
  }))
}

function missingTable(table: string, tier: string) {
  return {
    target: table,
    finding: `The table ${table} (${tier}) does not exist.`,
    fix: 'retake restore plan --at TIME_BEFORE --to DIR',
  }
}
