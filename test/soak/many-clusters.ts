/**
 * A round of many clusters: what was seen of each goes into a real control database, the rules of alerts are applied to it, and one
 * scrape asks for the metrics of all. The sources are simulated, so this is what a server pays besides asking the clusters themselves.
 */
import { openControlDatabase } from '../../src/control/database/open.ts'
import { lastMetrics, recordLook } from '../../src/control/health.ts'
import { defaultPolicy } from '../../src/monitor/alerts/policy.ts'
import { bad, reportOf } from '../../src/monitor/alerts/testing/reports.ts'
import { renderMetrics } from '../../src/monitor/metrics/render.ts'
import { metricsOf } from '../../src/monitor/read-metrics.ts'
import { judgeReport } from '../../src/server/alerting.ts'
import { Turns } from '../../src/server/turns.ts'
import { startTestServer } from '../support/postgres.ts'
import { makeTemp } from '../support/temp.ts'

const AT_A_TIME = 16
const ROUNDS = 5
/** A look is made every minute. */
const ROUND_LIMIT_S = 60
const MEMORY_LIMIT_MIB = 500

export async function measureClusters({
  clusters,
  say,
}: {
  readonly clusters: number
  readonly say: (line: string) => void
}): Promise<string[]> {
  await using server = await startTestServer()
  await using temp = makeTemp({ label: 'clusters' })
  const { user, host, port } = server.target.config
  await using control = await openControlDatabase({
    url: `postgres://${user}@${host}:${port}/postgres`,
    directory: temp.path,
  })
  const problems: string[] = []
  const policy = { ...defaultPolicy, levels: [{ channels: ['team'], afterMs: 0 }], everybody: ['team'] }
  for (let round = 0; round < ROUNDS; round += 1) {
    const now = new Date(Date.UTC(2026, 10, 23, 0, round * 3))
    const cost = await measured(async () => {
      const turns = new Turns(AT_A_TIME)
      await Promise.all(
        Array.from({ length: clusters }, (_, number) =>
          turns.take(async () => {
            // One in ten is in trouble: its alerts fire in the later rounds.
            const report = { ...reportOf(number % 10 === 0 ? { server: bad } : {}, now), cluster: `cluster-${number}` }
            const metrics = metricsOf({ report, backups: [], durationMs: 1, limit: 10 })
            await recordLook(control.db, { report, metrics })
            await judgeReport(control.db, { report, policy, now })
          }),
        ),
      )
    })
    say(`round ${round + 1} of ${clusters} clusters: ${describe(cost)}`)
    if (cost.seconds > ROUND_LIMIT_S) problems.push(`a round took ${cost.seconds.toFixed(1)} s`)
  }
  const { db } = control
  const scrape = await measured(async () => {
    const text = renderMetrics((await lastMetrics(db)).map((families) => ({ families })))
    say(`one scrape: ${(text.length / 1e6).toFixed(1)} MB`)
  })
  say(`one scrape: ${describe(scrape)}`)
  const fired = await db.selectFrom('alert').select('key').where('state', '=', 'firing').execute()
  const told = await db.selectFrom('notice').select('id').execute()
  say(`${fired.length} alerts fire, ${told.length} notices`)
  if (fired.length !== clusters / 10 || told.length !== clusters / 10) problems.push('not every alert was told once')
  if (scrape.peakMib > MEMORY_LIMIT_MIB) problems.push(`${scrape.peakMib} MiB of memory`)
  return problems
}

interface Measured {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMib: number
}

async function measured(work: () => Promise<void>): Promise<Measured> {
  const begunMs = performance.now()
  const begun = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(begun)
  return {
    seconds: (performance.now() - begunMs) / 1000,
    cpuSeconds: (user + system) / 1e6,
    peakMib: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}

const describe = ({ seconds, cpuSeconds, peakMib }: Measured) =>
  `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} CPU s, at most ${peakMib} MiB`
