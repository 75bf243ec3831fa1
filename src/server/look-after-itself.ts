/** What is done once for all servers that share a control database, by the one whose duty it is. */
import { tellCanaries } from './canaries.ts'
import { tellDigest } from './digesting.ts'
import { forever } from './forever.ts'
import { judgeChannels } from './judge-channels.ts'
import type { Server } from './parts.ts'
import { staleAfterMs } from './stale.ts'

const EVERY_MS = 5_000

export async function lookAfterItself(
  { control: { db }, config, clusters, logger }: Server,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { digest, canary } = config.alerts.regular
  const regularly = (what: string, turn: () => Promise<unknown>) =>
    forever(async () => void (await turn()), {
      signal,
      everyMs: EVERY_MS,
      onError: ({ message, code }) => logger.warn(`${what} failed: ${message}`, { code }),
    })
  await Promise.all([
    digest &&
      regularly('The digest', () =>
        tellDigest(db, {
          plan: digest,
          clusters: [...clusters.values()],
          staleAfterMs: staleAfterMs(config.checkMs),
          now: new Date(),
        }),
      ),
    regularly('The look at the channels', () => judgeChannels(db, { alerts: config.alerts, now: new Date() })),
    canary && regularly('The canary', () => tellCanaries(db, { plan: canary, now: new Date() })),
  ])
}
