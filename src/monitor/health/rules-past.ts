/** What has been shown and kept over time: proofs, runs, copies, keys, retention. */
import type { Evidence } from './evidence.ts'
import { atLeast, depthFactor, slotFactor, upTo } from './factors.ts'
import { DRILL_INTERVAL_MS, KIT_PROOF_MAX_AGE_MS } from './limits.ts'
import { type Judged, nothing, notKnown, type ScoreRule } from './rule.ts'

/** Drills prove most; a kit that restored every file, and a verification, prove their part. The best of them counts. */
const proof: ScoreRule = {
  name: 'proof',
  title: 'age and depth of the deepest proof',
  weight: 30,
  judge: (evidence) => {
    const proofs = [drillProof(evidence), kitProof(evidence), verificationProof(evidence)]
    const factor = Math.max(0, ...proofs.map((one) => one ?? 0))
    const { state, fix = '' } = evidence.get('drill') ?? {}
    if (state !== 'skipped') return { factor, ...evidence.why('drill') }
    // Without drills each deeper proof is the next step; the deepest that can be had is not all.
    const [, kit = 0, verified = 0] = proofs
    const nobody = 'Nothing has rehearsed a whole recovery'
    if (kit > depthFactor(1)) {
      return { factor, reason: `${nobody}; every file was restored with the kit.`, fix, reaches: depthFactor(2) }
    }
    if (verified <= depthFactor(0)) {
      const reason = `${nobody}, and every byte was not verified lately.`
      return { factor, reason, fix: 'retake verify --deep', reaches: depthFactor(1) }
    }
    const tryKit = 'retake keys escrow-test --full   # restores every file with the kit alone'
    return { factor, reason: `${nobody}; every byte was verified.`, fix: tryKit, reaches: depthFactor(2) }
  },
}

function drillProof({ measured }: Evidence): number | undefined {
  const drill = measured('drill')
  if (drill?.ageMs === undefined || drill.depth === undefined) return undefined
  return depthFactor(drill.depth) * upTo(drill.ageMs, drill.intervalMs)
}

function kitProof({ measured }: Evidence): number | undefined {
  const keys = measured('keys')
  if (keys?.kitProofDepth !== 'full' || keys.kitProofAgeMs === undefined) return undefined
  return depthFactor(2) * upTo(keys.kitProofAgeMs, DRILL_INTERVAL_MS)
}

function verificationProof({ measured }: Evidence): number | undefined {
  const found = measured('verification')
  if (!found) return undefined
  if (found.damage) return 0
  const deep = found.deepAgeMs === undefined ? 0 : depthFactor(1) * upTo(found.deepAgeMs, found.maxAgeMs)
  const quick = found.ageMs === undefined ? 0 : depthFactor(0) * upTo(found.ageMs, found.maxAgeMs)
  return Math.max(deep, quick)
}

export const proofItems: readonly ScoreRule[] = [proof]

const rto: ScoreRule = {
  name: 'rto',
  title: 'recovery time, measured in a drill',
  weight: 10,
  judge: ({ measured, why, targets }) => {
    const rtoMs = measured('drill')?.rtoMs
    if (rtoMs === undefined) {
      const reason = 'How long a recovery takes was not measured: no drill has passed.'
      return { ...notKnown({ ...why('drill'), reason }), reaches: 0 }
    }
    const hours = (ms: number) => `${(ms / 3_600_000).toFixed(1)} h`
    return {
      factor: upTo(rtoMs, targets.rtoMs),
      reason: `The last drill took ${hours(rtoMs)}; the target is ${hours(targets.rtoMs)}.`,
      fix: 'retake restore plan --at latest --to DIR   # says what takes how long',
    }
  },
}

export const rtoItems: readonly ScoreRule[] = [rto]

const successRate: ScoreRule = {
  name: 'success-rate',
  title: 'backups that came, of those that were due',
  weight: 8,
  judge: ({ history, measured, why, targets }) => {
    const backup = measured('backup')
    if (!backup) return notKnown(why('backup'))
    if (!history) return notKnown({ reason: 'There is no history of backups yet.', fix: 'retake backup' })
    // The slot of a run that failed is not over, and not succeeded either; once it is over it is among the missed ones.
    const isOpenFailure = backup.lastRun === 'failed' && !history.isLate
    const missed = history.missed + (isOpenFailure ? 1 : 0)
    const failedNow = isOpenFailure ? ' The last run failed.' : ''
    return {
      factor: slotFactor(missed, { slots: history.slots, successShare: targets.successShare }),
      reason: `${missed} of ${history.slots} backups that were due since ${history.since} did not come.${failedNow}`,
      fix: 'retake backup   # each day, from a timer',
    }
  },
}

const recoverableMinutes: ScoreRule = {
  name: 'recoverable-minutes',
  title: 'minutes whose every moment can be restored',
  weight: 5,
  judge: ({ measured, why, targets }) => {
    const found = measured('wal')
    if (!found) return notKnown(why('wal'))
    if (found.recoverableShare === undefined) return nothing(why('wal'))
    const lost = 1 - found.recoverableShare
    return {
      factor: upTo(lost, 1 - targets.successShare),
      reason: `${(lost * 100).toFixed(2)} % of the minutes since the first moment that is held cannot be restored.`,
      fix: 'retake window   # shows the holes; they age out when WAL is received without a pause',
    }
  },
}

const completionTime: ScoreRule = {
  name: 'completion-time',
  title: 'duration of the last backup',
  weight: 2,
  judge: ({ measured, why, targets }) => {
    const found = measured('backup')
    if (!found) return notKnown(why('backup'))
    if (!found.last) return nothing(why('backup'))
    return {
      factor: upTo(found.last.durationMs, targets.completionMs),
      reason: `The last backup took ${Math.round(found.last.durationMs / 60_000)} minutes; the target is ${targets.completionMs / 60_000}.`,
      fix: 'retake backup   # incremental; with more workers in the configuration where processors are free',
    }
  },
}

export const successItems: readonly ScoreRule[] = [successRate, recoverableMinutes, completionTime]

const copies: ScoreRule = {
  name: 'copies',
  title: '3-2-1: copies, places, off-site',
  weight: 4,
  judge: ({ get, measured, why }): Judged => {
    const found = measured('mirrors')
    if (!found) return notKnown(why('mirrors'))
    const lacks = found.missing
    const words = { copies: 'a second copy', places: 'a second place', offsite: 'a copy off-site' } as const
    const factor = (1 - lacks.length / 3) * (get('mirrors')?.state === 'failed' ? 0.5 : 1)
    if (lacks.length === 0) return { factor, ...why('mirrors') }
    return {
      factor,
      reason: `The last backup lacks ${lacks.map((lack) => words[lack]).join(', ')}.`,
      fix: 'add a place to mirrors in retake.config.yaml, then: retake repo sync --set-up',
    }
  },
}

const keyEscrow: ScoreRule = {
  name: 'key-escrow',
  title: 'a recovery kit that was tried',
  weight: 3,
  judge: ({ measured, why }) => {
    const found = measured('keys')
    if (!found) return notKnown(why('keys'))
    if (found.broken > 0 || found.kits === 0 || found.kitProofAgeMs === undefined) return nothing(why('keys'))
    return { factor: upTo(found.kitProofAgeMs, KIT_PROOF_MAX_AGE_MS), ...why('keys') }
  },
}

const retentionAdequacy: ScoreRule = {
  name: 'retention-adequacy',
  title: 'retention is long enough, and kept',
  weight: 3,
  judge: ({ measured, why }) => {
    const found = measured('retention')
    if (!found) return notKnown(why('retention'))
    return {
      factor: atLeast(Math.min(found.days, found.walDays), found.targetDays) * (found.kept ? 1 : 0.5),
      ...why('retention'),
    }
  },
}

export const copiesItems: readonly ScoreRule[] = [copies, keyEscrow, retentionAdequacy]

const alertPath: ScoreRule = {
  name: 'alert-path',
  title: 'a notice that provably arrived',
  weight: 5,
  judge: ({ alertPath: path, now, targets }) => {
    if (!path) {
      const reason = 'Whether a notice would arrive is known to a server (retake serve) alone.'
      const fix = 'retake serve   # with channels (docs/channels.md); its own look at the cluster knows'
      return { ...notKnown({ reason, fix }), reaches: 0 }
    }
    const { provenAt, problem } = path
    const fix = 'retake alerts canary   # then confirm it with the code that arrives'
    if (problem || provenAt === undefined) {
      return nothing(problem ?? { reason: 'No notice was ever confirmed to have arrived.', fix })
    }
    const ageMs = Math.max(0, now.getTime() - Date.parse(provenAt))
    return {
      factor: upTo(ageMs, targets.alertPathMs),
      reason: `The last notice that a person confirmed is of ${provenAt}.`,
      fix,
    }
  },
}

export const alertItems: readonly ScoreRule[] = [alertPath]
