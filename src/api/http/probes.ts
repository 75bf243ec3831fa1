/** What machines ask: whether the process lives, whether it can do its work, and what it measures. */
import { toRetakeError } from '../../base/errors.ts'
import { METRICS_CONTENT_TYPES, type MetricsFormat } from '../../monitor/metrics/render.ts'
import type { Readiness } from '../contract/server.ts'
import type { ApiApp, ApiContext } from './context.ts'
import { deniedToken } from './guards.ts'
import { withTimeLimit } from './time-limit.ts'

export function addProbes(app: ApiApp, context: ApiContext): void {
  const { services, limits, isAllowed, closing, stopping } = context
  const json = (body: unknown, status: number) =>
    new Response(JSON.stringify(body), {
      status,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    })
  app.get('/livez', () => json({ alive: true }, 200))
  app.get('/readyz', async (c) => {
    const { headers, signal: left } = c.req.raw
    const asked = closing.signal.aborted
      ? [{ code: 'api.busy', message: 'The server is ending.' }]
      : withTimeLimit((signal) => services.readiness({ signal }), {
          limitMs: limits.requestMs,
          signals: [left, stopping.signal],
        })
    // Not to know is not to be ready.
    const reasons = await Promise.resolve(asked).catch((error: unknown) => {
      const { code, message } = toRetakeError(error)
      return [{ code, message }]
    })
    // Sentences may name hosts; a probe without the token is told the codes.
    const isTold = isAllowed(headers.get('authorization'))
    const readiness: Readiness = {
      ready: reasons.length === 0,
      reasons: reasons.map(({ code, message }) => ({ code, ...(isTold ? { message } : {}) })),
    }
    return json(readiness, readiness.ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => {
    const { headers, signal: left } = c.req.raw
    if (!isAllowed(headers.get('authorization'))) throw deniedToken()
    const format = formatOf(headers.get('accept'))
    const text = await withTimeLimit((signal) => services.renderMetrics(format, { signal }), {
      limitMs: limits.requestMs,
      signals: [left, stopping.signal],
    })
    return new Response(text, {
      headers: { 'content-type': METRICS_CONTENT_TYPES[format], 'cache-control': 'no-store', vary: 'accept' },
    })
  })
}

/** Prometheus names what it likes best first, and says how much. */
function formatOf(accept: string | null): MetricsFormat {
  const weight = (type: string) => {
    const entry = (accept ?? '').split(',').find((part) => part.trim().toLowerCase().startsWith(type))
    if (entry === undefined) return 0
    return Number(/;\s*q=([\d.]+)/.exec(entry)?.[1] ?? 1)
  }
  const open = weight('application/openmetrics-text')
  return open > 0 && open >= weight('text/plain') ? 'openmetrics' : 'prometheus'
}
