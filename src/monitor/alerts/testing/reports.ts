/** Reports of a cluster in which what a test names is wrong, and everything else is as it should be. Scores are computed, not made up. */

import type { Measurements } from '../../checks/measurements.ts'
import {
  failed,
  type HealthCheckName,
  type HealthCheckResult,
  type Outcome,
  passed,
  unknown,
} from '../../checks/result.ts'
import { headlineOf } from '../../health/headline.ts'
import type { HealthInput } from '../../health/input.ts'
import { scoreHealth } from '../../health/score.ts'
import type { HealthReport } from '../../read-health.ts'

export const bad = 'bad'
type Condition = typeof bad | 'unknown'

export interface World {
  readonly server?: Condition
  readonly repository?: Condition
  readonly receiver?: Condition
  readonly table?: Condition
  readonly wal?: Condition
  readonly backup?: Condition
}

/** Before anything that a test does. */
const HELD_FROM = '2026-01-01T00:00:00.000Z'
const danger = { severity: 'danger', fix: 'Correct it.' } as const

export function reportOf(world: World, now: Date): HealthReport {
  const at = now.toISOString()
  const checks = checksOf(world, at)
  const input: HealthInput = {
    checks,
    history: undefined,
    alertPath: undefined,
    targets: { rtoMs: 1, completionMs: 1, successShare: 1, alertPathMs: 1 },
    now,
    intervalMs: 60_000,
  }
  const score = scoreHealth(input)
  const headline = headlineOf(input)
  return { cluster: 'main', at, verdict: 'ok', score, checks, objectives: [], headline, recommendations: [] }
}

function checksOf(world: World, at: string): HealthCheckResult[] {
  const noServer = world.server === bad
  const noRepository = world.repository === bad
  const check = <N extends HealthCheckName>(
    name: N,
    condition: Condition | undefined,
    outcome: Outcome<Measurements[N]>,
  ): HealthCheckResult<N> => ({
    ...(condition === 'unknown' ? unknown<Measurements[N]>(`${name} did not answer.`) : outcome),
    name,
    title: name,
    at,
    durationMs: 1,
  })
  return [
    check('connectivity', world.server, noServer ? failed('It does not answer.', danger) : connected),
    check('repository', world.repository, noRepository ? failed('It cannot be opened.', danger) : opened),
    check('backup', noRepository ? 'unknown' : world.backup, backupOutcome(world, at)),
    check('wal', noRepository ? 'unknown' : world.wal, walOutcome(world, at)),
    check('slot', noServer ? 'unknown' : world.receiver, slotOutcome(world)),
    check('critical-tables', noServer ? 'unknown' : world.table, tablesOutcome(world)),
  ]
}

const connected = passed('It answers.', {
  latencyMs: 1,
  connectMs: 1,
  serverVersionNum: 170_010,
  database: 'app',
  inRecovery: false,
})
const opened = passed('Open.', { url: 'file:///r', repositoryId: 'r', openMs: 1 })

function slotOutcome({ receiver }: World): Outcome<Measurements['slot']> {
  const active = receiver !== bad
  return passed('The slot is there.', { slot: 's', exists: true, active, keepsUp: active, receiver: active })
}

function tablesOutcome({ table }: World): Outcome<Measurements['critical-tables']> {
  return passed('Looked at.', {
    database: 'app',
    expectedBy: 'configuration',
    tables: [],
    missing: table === bad ? [{ table: 'public.users', tier: 'high' }] : [],
    shrunk: [],
  })
}

function backupOutcome({ backup }: World, at: string): Outcome<Measurements['backup']> {
  const last = {
    backupId: 'b',
    type: 'full',
    startedAt: at,
    stoppedAt: at,
    durationMs: 1,
    storedBytes: 1,
    corruptBlocks: 0,
  } as const
  return passed('There is one.', {
    count: 1,
    unusable: [],
    usable: 1,
    last,
    ageMs: 1,
    maxAgeMs: 90_000_000,
    lastRun: backup === bad ? 'failed' : 'succeeded',
    failedRuns: [],
  })
}

function walOutcome({ wal }: World, at: string): Outcome<Measurements['wal']> {
  return passed('Held.', {
    windows: 1,
    from: HELD_FROM,
    to: at,
    openGaps: wal === bad ? 1 : 0,
    pastGaps: 0,
    damagedObjects: 0,
    stretches: [{ from: HELD_FROM, to: at }],
    observedMs: 1,
  })
}
