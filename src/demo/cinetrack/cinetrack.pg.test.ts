import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgresMajors, startTestServer } from '../../../test/support/postgres.ts'
import { sleep } from '../../base/abort.ts'
import '../../../test/support/leaks.ts'
import { installCineTrack } from './install.ts'
import { cineTrackTables } from './tiers.ts'
import { readMarks, startTraffic } from './traffic.ts'

const SCALE = 0.1

for (const major of postgresMajors()) {
  test(`CineTrack on PostgreSQL ${major}: installed as on Supabase, guarded by row-level security, written by its traffic`, async () => {
    // Supabase's cluster belongs to supabase_admin, and postgres is not a superuser there.
    await using server = await startTestServer({ major, superuser: 'supabase_admin' })
    await installCineTrack({ target: server.target, scale: SCALE })

    const [counters] = await server.query<{ wrong: string }>(
      `select (select count(*) from public.users u where review_count <> (select count(*) from public.reviews where user_id = u.id)
           or follower_count <> (select count(*) from public.follows where followed_id = u.id))
         + (select count(*) from public.reviews r where like_count <>
             (select count(*) from public.review_interactions where review_id = r.id and kind = 'like')) as wrong`,
    )
    assert.equal(counters?.wrong, '0')

    const [someone] = await server.query<{ user_id: string; own: string }>(
      'select user_id, count(*) as own from public.watchlist group by 1 order by 2 desc, 1 limit 1',
    )
    assert.ok(someone)
    await server.query('begin')
    await server.query(`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, [
      JSON.stringify({ sub: someone.user_id }),
    ])
    const [seen] = await server.query<{ count: string }>('select count(*) as count from public.watchlist')
    await server.query('rollback')
    assert.equal(seen?.count, someone.own)

    await using traffic = await startTraffic({ target: server.target, scale: SCALE, marks: true })
    while (traffic.committed.length < 600) await sleep(20)
    await traffic.pause()
    const marks = await readMarks(server)
    assert.equal(marks.size, traffic.committed.length, traffic.lastError)
    for (const { connection, sequence } of traffic.committed) assert.ok(marks.has(`${connection}:${sequence}`))
    await traffic.stop()
    const firstXid = traffic.committed.reduce(
      (least, { xid }) => (xid < least ? xid : least),
      traffic.committed[0]?.xid ?? 0n,
    )
    for (const { name } of cineTrackTables) {
      const [written] = await server.query<{ count: number }>(
        `select count(*)::int as count from public.${name} where xmin::text::bigint >= $1`,
        [firstXid],
      )
      assert.ok((written?.count ?? 0) > 0, `${name} was not written`)
    }
  })
}
