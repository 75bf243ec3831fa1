/** What the verbs of the library give, with everything in it that may be there. */
import type { SchedulesReport } from '../../engine/schedules.ts'
import type { StatusReport } from '../../engine/status.ts'
import type { WindowReport } from '../../engine/window.ts'

const AT = '2026-11-23T02:00:00.000Z'
const LSN = '0/3000060'

const gap = {
  timeline: 1,
  beginLsn: '0/1000000',
  endLsn: '0/2000000',
  recorded: true,
  givenUp: true,
  explanation: 'Given up.',
} as const
const span = { timeline: 2, from: { lsn: LSN, at: AT }, to: { lsn: '0/4000000' }, backups: ['b1'], gaps: [gap] }
const damage = { object: 'clusters/main/wal/1', timeline: 1, message: 'It cannot be read.' }

export const windowExample: WindowReport = {
  cluster: 'main',
  windows: [span],
  unknownTimelines: [3],
  strandedBackups: ['b0'],
  damage: [damage],
}

export const statusExample: StatusReport = {
  cluster: 'main',
  at: AT,
  verdict: 'endangered',
  reasons: [{ code: 'backup.old', severity: 'danger', message: 'The last backup is old.', fix: 'retake backup' }],
  backupCount: 1,
  lastBackup: { backupId: 'b1', label: 'nightly', stoppedAt: AT, ageMs: 90_000_000 },
  windows: [span],
  archive: { timeline: 2, flushLsn: LSN, at: AT, caughtUpAt: AT, spool: { host: 'db1', acknowledgedLsn: LSN } },
  rpo: { state: 'behind', behindBytes: 4096, behindMs: 2000, explanation: 'Not everything is held.' },
  receiver: { holder: 'retake wal receive (process 1 on db1)', host: 'db1', pid: 1, since: AT },
  server: { timeline: undefined, flushLsn: LSN, now: AT, inRecovery: true },
  serverError: { code: 'postgres.unreachable', message: 'It did not answer.' },
  slot: {
    name: 'retake_main',
    exists: true,
    active: true,
    restartLsn: LSN,
    walStatus: 'reserved',
    heldBytes: 10,
    safeBytes: 100,
  },
  native: {
    project: 'abcdefghijklmnopqrst',
    name: 'shop',
    at: AT,
    projectStatus: 'ACTIVE_HEALTHY',
    mode: 'pitr',
    backups: [{ id: 1, at: AT, kind: 'physical', status: 'success', rawStatus: 'COMPLETED' }],
    window: { granularity: 'second', earliest: AT, latest: AT },
    ageMs: 4_000_000,
    lag: { kind: 'waiting', segments: 2 },
    retentionDays: 7,
  },
  gaps: [gap],
  damage: [damage],
  mirrors: {
    mirrorSync: 'available',
    generation: 3,
    changedAt: AT,
    reason: 'A copy was behind.',
    copies: [
      {
        name: 'attic',
        url: '/attic',
        place: 'home',
        offsite: true,
        isPrimary: false,
        state: 'behind',
        syncedAt: AT,
        lag: { missingObjects: 1, missingBytes: 10, extraObjects: 0 },
        lagMs: 60_000,
      },
    ],
    unknown: ['cellar'],
  },
  lastBackupCopies: {
    copies: ['origin'],
    unknown: ['cellar'],
    places: 1,
    offsite: false,
    missing: ['copies', 'places'],
  },
}

const judged = {
  at: AT,
  startAt: AT,
  outcome: 'succeeded',
  runId: 'b1',
  beganAt: AT,
  endedAt: AT,
  beganLate: false,
} as const

export const schedulesExample: SchedulesReport = {
  cluster: 'main',
  at: AT,
  configured: true,
  verdict: 'ok',
  schedules: [
    {
      name: 'backup',
      task: 'backup',
      type: 'incremental',
      deep: true,
      cron: '0 2 * * *',
      words: 'daily at 02:00',
      zone: 'UTC',
      jitterMs: 0,
      graceMs: 3_600_000,
      verdict: 'ok',
      last: judged,
      settled: judged,
      runs: [judged],
      knownFrom: AT,
      next: [{ at: AT, startAt: AT }],
    },
  ],
}
