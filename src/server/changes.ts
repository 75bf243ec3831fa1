/** Tells those who watch this server what any of the servers has changed, by looking into the control database. */
import { type Kysely, sql } from 'kysely'
import { ChangeFeed } from '../api/change-feed.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { forever } from './forever.ts'
import type { NamedEvent } from './services/cluster-services.ts'

const EVERY_MS = 1_000
/** Transactions that end later than they began are seen by looking back so far. */
const OVERLAP_MS = 5_000

export function openChanges(): ChangeFeed<NamedEvent> {
  return new ChangeFeed<NamedEvent>({
    epoch: randomId(4),
    reset: () => ({ kind: 'reset', at: new Date().toISOString() }),
  })
}

interface ChangedRow {
  readonly kind: 'run' | 'health' | 'alert'
  readonly cluster: string
  readonly subject: string
  readonly at: Date
}

export async function keepChanges(
  feed: ChangeFeed<NamedEvent>,
  { db, logger, signal }: { readonly db: Kysely<ControlTables>; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const told = new Map<string, number>()
  let since = new Date()
  await forever(
    async () => {
      const rows = await readChanges(db, new Date(since.getTime() - OVERLAP_MS))
      for (const { kind, cluster, subject, at } of rows) {
        const name = `${kind} ${subject}`
        if ((told.get(name) ?? since.getTime() - OVERLAP_MS) >= at.getTime()) continue
        told.set(name, at.getTime())
        feed.publish({ kind, cluster, subject, at: at.toISOString() })
      }
      since = rows.reduce((latest, { at }) => (at > latest ? at : latest), since)
      for (const [name, atMs] of told) if (atMs < since.getTime() - 2 * OVERLAP_MS) told.delete(name)
    },
    {
      signal,
      everyMs: EVERY_MS,
      onError: ({ message }) => logger.debug(`Changes could not be read: ${message}`),
    },
  )
}

async function readChanges(db: Kysely<ControlTables>, since: Date): Promise<ChangedRow[]> {
  const { rows } = await sql<ChangedRow>`
    SELECT 'run' AS kind, cluster, id AS subject, changed_at AS at FROM retake.run WHERE changed_at > ${since}
    UNION ALL SELECT 'health', cluster, cluster, at FROM retake.look WHERE at > ${since}
    UNION ALL SELECT 'alert', cluster, key, changed_at FROM retake.alert WHERE changed_at > ${since}
    ORDER BY at`.execute(db)
  return rows
}
