/** Whether what is promised is kept: how far back moments can be restored, and who can still open the repository. */

import type { RetentionPolicy } from '../../catalog/retention/policy.ts'
import { readHolderViews } from '../../engine/keys/keys-status.ts'
import type { HolderView } from '../../engine/keys/keys-view.ts'
import { newestKitProof } from '../../engine/keys/newest-kit-proof.ts'
import { PROOF_MAX_AGE_DAYS } from '../../engine/keys/recommendations.ts'
import { retentionPolicy } from '../../engine/retention-facts.ts'
import type { WindowView } from '../../engine/window.ts'
import type { KitProof } from '../../repository/keys/kit-proof.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import type { Measurements } from './measurements.ts'
import { failed, type Outcome, passed } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

const DAY_MS = 86_400_000
/** Less than this, and a mistake that is noticed after a weekend can no longer be taken back. */
export const RETENTION_TARGET_DAYS = 7

export const retention: HealthCheck<'retention'> = {
  name: 'retention',
  title: 'Retention is adequate and kept',
  patience: 3,
  run: async (sources) => {
    const { backups, report } = await sources.holdings()
    const policy = retentionPolicy(sources.settings.config)
    return judgeRetention({ policy, backups, windows: report.windows, now: sources.settings.clock.now() })
  },
}

export function judgeRetention(facts: {
  readonly policy: RetentionPolicy
  readonly backups: readonly Pick<BackupSummary, 'stoppedAt'>[]
  readonly windows: readonly WindowView[]
  readonly now: Date
}): Outcome<Measurements['retention']> {
  const { policy, backups, windows, now } = facts
  const walDays = policy.walDays ?? policy.days
  const oldestMs = Math.min(...backups.map(({ stoppedAt }) => Date.parse(stoppedAt)))
  const fromMs = windows.at(-1)?.from.at ? Date.parse(windows.at(-1)?.from.at ?? '') : undefined
  // A cluster that is protected for two days holds two; no more was promised.
  const promisedMs = Math.max(now.getTime() - walDays * DAY_MS, oldestMs)
  const heldMs = fromMs === undefined ? 0 : Math.max(0, now.getTime() - fromMs)
  const kept = backups.length === 0 || (fromMs !== undefined && fromMs <= promisedMs)
  const measured = { days: policy.days, walDays, targetDays: RETENTION_TARGET_DAYS, heldMs, kept }
  if (policy.days < RETENTION_TARGET_DAYS || walDays < RETENTION_TARGET_DAYS) {
    const days = Math.min(policy.days, walDays)
    return failed(`${days} days are kept; a mistake that is noticed later cannot be taken back.`, {
      severity: 'warning',
      fix: `retentionDays: ${RETENTION_TARGET_DAYS}   # in retake.config.yaml; retentionWalDays as well, where it is set`,
      measured,
    })
  }
  if (!kept) {
    const held = `${(heldMs / DAY_MS).toFixed(1)} days`
    return failed(`Moments of ${walDays} days are promised, and only the last ${held} are held without a hole.`, {
      severity: 'warning',
      fix: 'retake window   # shows the hole; it ages out, and nothing brings its moments back',
      measured,
    })
  }
  return passed(`${walDays} days are promised; ${(heldMs / DAY_MS).toFixed(1)} days are held without a hole.`, measured)
}

export const keys: HealthCheck<'keys'> = {
  name: 'keys',
  title: 'Keys',
  run: async (sources) => {
    const { retake } = await sources.retake()
    const holders = await readHolderViews(retake)
    const proof = await newestKitProof(retake.repository)
    return judgeKeys({ holders, proof, now: sources.settings.clock.now() })
  },
}

type KeyFacts = {
  readonly holders: readonly Pick<HolderView, 'state' | 'kind' | 'due' | 'holder' | 'label'>[]
  readonly proof: Pick<KitProof, 'provenAt' | 'depth'> | undefined
  readonly now: Date
}

export function judgeKeys({ holders, proof, now }: KeyFacts): Outcome<Measurements['keys']> {
  const good = holders.filter(({ state }) => state === 'good')
  const broken = holders.filter(({ state }) => state !== 'good')
  const due = good.filter((holder) => holder.due)
  const kits = good.filter(({ kind }) => kind === 'recovery-kit').length
  const kitProofAgeMs = proof && Math.max(0, now.getTime() - Date.parse(proof.provenAt))
  const measured: Measurements['keys'] = {
    good: good.length,
    broken: broken.length,
    kits,
    due: due.length,
    ...(proof ? { kitProvenAt: proof.provenAt, kitProofDepth: proof.depth } : {}),
    ...(kitProofAgeMs === undefined ? {} : { kitProofAgeMs }),
  }
  const bad = (finding: string, fix: string) => failed(finding, { severity: 'warning' as const, fix, measured })
  const [first] = broken
  if (first)
    return bad(
      `The key ${first.holder} is ${first.state === 'removing' ? 'half removed' : first.state}.`,
      'retake keys status',
    )
  if (kits === 0) {
    return bad(
      'There is no recovery kit: with the key lost, every backup is lost.',
      'retake keys kit kit.txt   # print it, delete the file',
    )
  }
  const tryIt = 'retake keys escrow-test   # type the key from the page'
  if (kitProofAgeMs === undefined) return bad('A recovery kit was made, and was never tried.', tryIt)
  if (kitProofAgeMs > PROOF_MAX_AGE_DAYS * DAY_MS) {
    return bad(`A recovery kit was last tried ${Math.floor(kitProofAgeMs / DAY_MS)} days ago.`, tryIt)
  }
  const [old] = due
  if (old) return bad(`The key "${old.label}" is due to be replaced.`, 'retake keys status   # says the command')
  return passed(`${good.length} keys open the repository; a recovery kit was proven at ${proof?.provenAt}.`, measured)
}
