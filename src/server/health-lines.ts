/** Says how each cluster is, when that has changed. */
import { healthLine, healthLineKey } from '../monitor/health/health-line.ts'
import type { HealthReport } from '../monitor/read-health.ts'

export function healthLines(write: (line: string) => void): (report: HealthReport) => void {
  const said = new Map<string, string>()
  return (report) => {
    const key = healthLineKey(report)
    if (said.get(report.cluster) === key) return
    said.set(report.cluster, key)
    write(healthLine(report))
  }
}
