/** What changes the form of the control database is done by one server at a time. */
import type pg from 'pg'
import { sleep } from '../../base/abort.ts'

const LOCK_NAME = 'retake: form of the control database'
const LOCK_EVERY_MS = 50

/**
 * Our tables and those of the workflows alike: whoever brings the first to their form looks at all tables there are, and must not
 * meet one of the others that is being dropped.
 */
export async function oneAtATime<T>(pool: pg.Pool, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    while (!(await tryLock(client))) await sleep(LOCK_EVERY_MS)
    return await work()
  } finally {
    await client.query('SELECT pg_advisory_unlock_all()').catch(() => {})
    client.release()
  }
}

/** Asked for again and again: whoever waits for a lock holds up the indexes that are made meanwhile, which wait for every open transaction. */
async function tryLock(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock(hashtext($1)) AS locked', [
    LOCK_NAME,
  ])
  return rows[0]?.locked === true
}
