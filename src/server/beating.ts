/** Tells a service outside that this server lives, so that its silence is noticed. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { livingServers } from '../control/servers.ts'
import { sendHeartbeat } from '../monitor/channels/heartbeat.ts'
import { forever } from './forever.ts'

const EVERY_MS = 60_000

export interface BeatingOptions {
  readonly db: Kysely<ControlTables>
  readonly address: string
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Only while the control database answers: without it nobody is alerted either. */
export async function keepBeating({ db, address, logger, signal }: BeatingOptions): Promise<void> {
  await forever(
    async () => {
      await livingServers(db)
      await sendHeartbeat(address, { signal })
    },
    { signal, everyMs: EVERY_MS, onError: ({ message }) => logger.warn(`No heartbeat was sent: ${message}`) },
  )
}
