/** Moments of a busy server whose content is known exactly: every load holds its breath while the content is noted. */
import { type DatabaseDigest, digestDatabase } from '../../src/demo/content-digest.ts'
import type { TestServer } from './postgres.ts'

export interface Pausable {
  pause(): Promise<void>
  resume(): void
}

export const targetKinds = ['time', 'lsn', 'xid', 'before-xid', 'name'] as const
export type TargetKind = (typeof targetKinds)[number]

export interface Moment {
  readonly number: number
  /** What `--at` takes, for each way to name the moment. */
  readonly targets: Readonly<Record<TargetKind, string>>
  /** What a restore to the target must hold. */
  contentAt(kind: TargetKind): DatabaseDigest
}

/** Makes the table that {@link recordMoment} writes its own transactions to. */
export async function prepareMoments(server: TestServer): Promise<void> {
  await server.query(
    'create table if not exists moment (number integer primary key, at timestamptz default clock_timestamp())',
  )
}

/** One moment has two contents: before and after a transaction of its own, which is what `xid` and `before-xid` differ in. */
export async function recordMoment(server: TestServer, loads: readonly Pausable[], number: number): Promise<Moment> {
  await Promise.all(loads.map((load) => load.pause()))
  try {
    const before = await digestDatabase(server)
    const [own] = await server.query<{ xid: string }>(
      'insert into moment (number) values ($1) returning pg_current_xact_id()::text as xid',
      [number],
    )
    const after = await digestDatabase(server)
    // The name may be used again in later runs against the same server; the number makes it unique in this one.
    const name = `moment_${number}`
    const [point] = await server.query<{ lsn: string; at: string }>(
      `select lsn::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
       from pg_create_restore_point('${name}') as lsn, clock_timestamp() as at`,
    )
    // The next transaction must not end in the same microsecond.
    await server.query('select pg_sleep(0.002)')
    const targets = {
      time: point?.at ?? '',
      lsn: `lsn:${point?.lsn}`,
      xid: `xid:${own?.xid}`,
      'before-xid': `before-xid:${own?.xid}`,
      name: `name:${name}`,
    }
    return { number, targets, contentAt: (kind) => (kind === 'before-xid' ? before : after) }
  } finally {
    for (const load of loads) load.resume()
  }
}
