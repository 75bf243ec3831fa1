import type { DrillRecord } from '../drills.ts'

/** A drill that passed, of the cluster `main`. */
export function exampleDrill(id: string, changed: Partial<DrillRecord> = {}): DrillRecord {
  return {
    id,
    cluster: 'main',
    beganAt: '2026-11-22T12:00:00.000Z',
    endedAt: '2026-11-22T12:01:30.000Z',
    by: 'schedule drill',
    host: 'db-1',
    deep: false,
    outcome: 'passed',
    target: {
      asked: '2026-11-20T08:15:00.000Z',
      chosen: 'random',
      why: 'a moment at random',
      at: '2026-11-20T08:15:00.000Z',
    },
    versions: { retake: '0.1.0', server: 170004 },
    phases: [{ name: 'files', durationMs: 70_000 }],
    reached: { lsn: '0/3000060', xid: 812, at: '2026-11-20T08:14:58.000Z' },
    rpoMs: 2000,
    rtoMs: 80_000,
    checks: [{ name: 'target', title: 'Exactly the target was reached', result: 'passed', detail: '', durationMs: 1 }],
    warnings: [],
    ...changed,
  }
}
