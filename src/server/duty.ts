/** Which clusters are this server's to look after: a fair share of them, held by leases. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { findFree, holdLeases, releaseLeases } from '../control/leases.ts'
import { livingServers } from '../control/servers.ts'
import { forever } from './forever.ts'

export interface DutyOptions {
  readonly db: Kysely<ControlTables>
  readonly id: string
  readonly names: readonly string[]
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Looks after one until its signal fires. */
  readonly look: (name: string, signal: AbortSignal) => Promise<void>
}

const EVERY_MS = 5_000

interface Duty {
  readonly stop: AbortController
  readonly done: Promise<void>
}

export async function keepDuty({ db, id, names, logger, signal, look }: DutyOptions): Promise<void> {
  const duties = new Map<string, Duty>()
  const begin = (name: string) => {
    const stop = new AbortController()
    const done = look(name, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) logger.error(`Nobody looks after ${name} here any more: ${error}`)
    })
    duties.set(name, { stop, done })
  }
  const end = async (name: string) => {
    const duty = duties.get(name)
    duties.delete(name)
    duty?.stop.abort()
    await duty?.done
  }
  const takeTurn = async () => {
    const share = Math.ceil(names.length / Math.max(1, (await livingServers(db)).size))
    // What is given away is let go of first, so that two never do the same.
    const surplus = [...duties.keys()].slice(share)
    await Promise.all(surplus.map(end))
    await releaseLeases(db, { server: id, names: surplus })
    const kept = await holdLeases(db, { server: id, names: [...duties.keys()] })
    await Promise.all([...duties.keys()].filter((name) => !kept.has(name)).map(end))
    const free = await findFree(db, names)
    const taken = await holdLeases(db, { server: id, names: free.slice(0, share - kept.size) })
    for (const name of taken) begin(name)
  }
  // While the control database is away, everything goes on: WAL must be received, and the leases of the repository keep two apart.
  await forever(takeTurn, {
    signal,
    everyMs: EVERY_MS,
    onError: ({ message }) => logger.warn(`The work could not be shared with the other servers: ${message}`),
  })
  await Promise.all([...duties.keys()].map(end))
}
