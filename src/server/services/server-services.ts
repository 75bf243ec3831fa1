/** The server itself: who shares the work, whether it can be done, what was measured. */
import type { KeyServices, ServerServices } from '../../api/services.ts'
import { toRetakeError } from '../../base/errors.ts'
import { retakeVersion } from '../../base/version.ts'
import { claimAnswer, releaseAnswer, settleAnswer } from '../../control/answers.ts'
import { lastMetrics } from '../../control/health.ts'
import { listServers, livingServers } from '../../control/servers.ts'
import { renderMetrics } from '../../monitor/metrics/render.ts'
import type { ServiceParts } from './parts.ts'

export function serverServices(
  { control, db }: ServiceParts,
  { id, startedAt }: { readonly id: string; readonly startedAt: Date },
): ServerServices & KeyServices {
  return {
    readServer: async () => {
      const begunMs = performance.now()
      const kind = control.kind === 'own' ? 'embedded' : 'external'
      const own = { version: retakeVersion(), startedAt: startedAt.toISOString() }
      try {
        const [servers, living] = await Promise.all([listServers(db), livingServers(db)])
        const latencyMs = Math.round(performance.now() - begunMs)
        return {
          ...own,
          servers: servers.map((server) => ({
            id: server.id,
            host: server.identity.host,
            version: server.version,
            startedAt: server.startedAt.toISOString(),
            seenAt: server.seenAt.toISOString(),
            isAlive: living.has(server.id),
          })),
          database: { kind, state: 'reachable', latencyMs },
        }
      } catch (error) {
        return { ...own, servers: [], database: { kind, state: 'unreachable', error: toRetakeError(error).message } }
      }
    },
    readiness: async () => {
      try {
        const living = await livingServers(db)
        return living.has(id) ? [] : [{ code: 'control.lost', message: 'Other servers have the work of this one.' }]
      } catch (error) {
        const { message } = toRetakeError(error)
        return [{ code: 'control.unavailable', message: `The control database does not answer: ${message}` }]
      }
    },
    renderMetrics: async (format) => {
      const families = await lastMetrics(db)
      return renderMetrics(
        families.map((one) => ({ families: one })),
        { format },
      )
    },
    claimKey: (request) => claimAnswer(db, request),
    settleKey: (key, answer) => settleAnswer(db, key, answer),
    releaseKey: (key) => releaseAnswer(db, key),
  }
}
