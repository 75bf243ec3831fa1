/** What no number of points makes good. A cap holds as long as it is not known that its reason is absent. */
import type { Evidence } from './evidence.ts'

export type CapName =
  | 'no-restorable-backup'
  | 'repository-unreachable'
  | 'wal-gap'
  | 'last-drill-failed'
  | 'never-drilled'
  | 'damage-found'
  | 'critical-table-missing'
  | 'key-not-escrow-tested'

export interface Cap {
  readonly name: CapName
  /** The score is not above this. */
  readonly limit: number
  readonly reason: string
  readonly fix: string
}

type CapRule = (evidence: Evidence) => Cap | undefined

const noRestorableBackup: CapRule = ({ measured, why }) => {
  const found = measured('backup')
  if (!found || found.usable > 0) return undefined
  return { name: 'no-restorable-backup', limit: 0, ...why('backup') }
}

const repositoryUnreachable: CapRule = ({ get, why }) => {
  if (get('repository')?.state === 'passed') return undefined
  return { name: 'repository-unreachable', limit: 30, ...why('repository') }
}

/** A slot that is lost or absent is a gap that opens: what the server writes now is kept by nobody. */
const walGap: CapRule = ({ measured, why }) => {
  const wal = measured('wal')
  const cap = { name: 'wal-gap', limit: 40 } as const
  if (!wal || wal.openGaps > 0 || wal.damagedObjects > 0) return { ...cap, ...why('wal') }
  const slot = measured('slot')
  // Of a server that does not answer nobody knows whether it still keeps WAL.
  if (!slot?.exists || slot.walStatus === 'lost') return { ...cap, ...why('slot') }
  return undefined
}

const drilled: CapRule = ({ get, measured, why }) => {
  if (get('drill')?.state === 'skipped') return { name: 'never-drilled', limit: 60, ...why('drill') }
  const drill = measured('drill')
  if (drill?.lastOutcome !== 'passed') return { name: 'last-drill-failed', limit: 50, ...why('drill') }
  return drill.passedAt === undefined ? { name: 'never-drilled', limit: 60, ...why('drill') } : undefined
}

const damageFound: CapRule = ({ get, measured, why }) => {
  if (get('verification')?.state === 'skipped') return undefined
  const found = measured('verification')
  return found && !found.damage ? undefined : { name: 'damage-found', limit: 50, ...why('verification') }
}

const LIMITS_OF_TIERS = { high: 69, medium: 89, low: 100 } as const

/** Recovery is possible, and it is needed: a database without its users is not in a good state. */
const criticalTableMissing: CapRule = ({ measured, why }) => {
  const found = measured('critical-tables')
  const limits = found ? found.missing.map(({ tier }) => LIMITS_OF_TIERS[tier]) : [LIMITS_OF_TIERS.high]
  const limit = Math.min(100, ...limits)
  return limit === 100 ? undefined : { name: 'critical-table-missing', limit, ...why('critical-tables') }
}

const keyNotTested: CapRule = ({ measured, why }) => {
  const keys = measured('keys')
  if (keys && keys.kits > 0 && keys.kitProofAgeMs !== undefined) return undefined
  return { name: 'key-not-escrow-tested', limit: 70, ...why('keys') }
}

const rules: readonly CapRule[] = [
  noRestorableBackup,
  repositoryUnreachable,
  walGap,
  drilled,
  damageFound,
  criticalTableMissing,
  keyNotTested,
]

/** The lowest first. */
export function capsOf(evidence: Evidence): Cap[] {
  return rules.flatMap((rule) => rule(evidence) ?? []).sort((left, right) => left.limit - right.limit)
}
