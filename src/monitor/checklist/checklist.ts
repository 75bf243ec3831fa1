/** The ten points that recovery is rehearsed by, as far as what is measured answers them. Pure. */
import { RecoveryProcedures } from '../../supabase/procedures.ts'
import type { HealthCheckName, HealthCheckResult } from '../checks/result.ts'

export interface ChecklistEntry {
  /** From 1. */
  readonly number: number
  readonly text: string
  /** `not-verifiable`: nothing here can tell, and a person looks. */
  readonly state: 'passed' | 'failed' | 'skipped' | 'unknown' | 'not-verifiable'
  /** Sentences: why. */
  readonly finding: string
  /** What it rests on. */
  readonly evidence: readonly HealthCheckName[]
  /** ISO 8601 UTC: how old the evidence is. */
  readonly at?: string | undefined
  /** The exact next step. */
  readonly fix?: string | undefined
}

type Judged = Omit<ChecklistEntry, 'number' | 'text'>
type Judge = (report: ChecklistFacts) => Judged

/** What is needed of a report, also of one that a server tells. */
export interface ChecklistFacts {
  readonly at: string
  readonly checks: readonly (Pick<HealthCheckResult, 'state' | 'finding' | 'fix'> & { readonly name: string })[]
  readonly score: {
    readonly parts: readonly { readonly items: readonly { readonly name: string; readonly isUnknown: boolean }[] }[]
    readonly lost: readonly { readonly item: string; readonly reason: string; readonly fix: string }[]
  }
}

/** Of each point, in the order of {@link RecoveryProcedures.getTestingChecklist}. */
export function checklistOf(report: ChecklistFacts): ChecklistEntry[] {
  return RecoveryProcedures.getTestingChecklist().map(({ number, text }, index) => {
    const judge = judges[index]
    if (!judge) throw new Error(`assertion failed: nothing judges point ${number}`)
    return { number, text, ...judge(report) }
  })
}

/** A check that is skipped where there is nothing to look at, such as copies, is no evidence, and no lack of it. */
function byChecks(needed: readonly HealthCheckName[], extra: readonly HealthCheckName[] = []): Judge {
  return ({ at, checks }) => {
    const resultOf = (wanted: HealthCheckName) => checks.find(({ name }) => name === wanted)
    const evidence = [...needed, ...extra.filter((name) => resultOf(name)?.state !== 'skipped')]
    const found = evidence.map(resultOf)
    const worst = (['failed', 'unknown', 'skipped'] as const).find((state) =>
      found.some((result) => (result?.state ?? 'unknown') === state),
    )
    if (!worst) return { state: 'passed', finding: sentences(found.map((one) => one?.finding)), evidence, at }
    const reasons = found.filter((result) => (result?.state ?? 'unknown') === worst)
    const fix = reasons.find((result) => result?.fix)?.fix
    const finding = sentences(reasons.map((one) => one?.finding ?? 'It was not looked at.'))
    return { state: worst, finding, evidence, at, ...(fix === undefined ? {} : { fix }) }
  }
}

const sentences = (list: readonly (string | undefined)[]) => list.filter((one) => one !== undefined).join(' ')

/** Whether a person confirmed that notices arrive is a part of the score. */
const notifications: Judge = ({ at, score }) => {
  const item = score.parts.flatMap(({ items }) => items).find(({ name }) => name === 'alert-path')
  const lost = score.lost.find((one) => one.item === 'alert-path')
  const common = { evidence: [], at }
  if (!item || item.isUnknown) {
    const finding = lost?.reason ?? 'Whether notices reach people is known to a server only.'
    return { ...common, state: 'unknown', finding, fix: lost?.fix ?? 'retake serve' }
  }
  if (!lost) return { ...common, state: 'passed', finding: 'Whoever is told first has confirmed that notices arrive.' }
  return { ...common, state: 'failed', finding: lost.reason, fix: lost.fix }
}

const byPerson =
  (finding: string, fix?: string): Judge =>
  () => ({ state: 'not-verifiable', finding, evidence: [], ...(fix === undefined ? {} : { fix }) })

const RECOVERED = 'retake restore apply --at latest --to DIR   # a server to try it on'

const judges: readonly Judge[] = [
  notifications,
  byChecks(['drill']),
  byChecks(['critical-tables', 'verification']),
  byChecks(['repository', 'verification', 'keys'], ['mirrors']),
  byPerson('Somebody who did not write the procedure follows it, and corrects what stopped them.'),
  byPerson(
    'Policies are restored as they were, with everything else. That they deny what they should is tried on a recovered server, as anon and authenticated.',
    RECOVERED,
  ),
  byPerson('The application is pointed at a recovered server, and tried.', RECOVERED),
  byPerson('A test user logs in against a recovered server.', RECOVERED),
  byPerson(
    'Constraints are restored as they were. What only the application knows is looked at on a recovered server.',
    RECOVERED,
  ),
  byPerson(
    'Files of Supabase Storage are not in a backup of the database: whether what it names is there is compared with the bucket.',
  ),
]
