/** Samples in, a table out. */
import type { Sample } from './cases.ts'

export interface Row {
  readonly name: string
  readonly wallSeconds: { readonly median: number; readonly least: number; readonly most: number }
  /** Wall of this case by the wall of the reference, of medians. */
  readonly ratio: number | undefined
  readonly cpuSeconds: number
  readonly serverCpuSeconds: number
  readonly peakMib: number
  readonly storedMb: number | undefined
}

export function summarise(samples: ReadonlyMap<string, readonly Sample[]>, reference: string | undefined): Row[] {
  const middle = (name: string) => median((samples.get(name) ?? []).map((one) => one.wallMs / 1_000))
  return [...samples].map(([name, all]) => {
    const walls = all.map((one) => one.wallMs / 1_000)
    const stored = all.flatMap((one) => (one.storedBytes === undefined ? [] : [one.storedBytes / 1e6]))
    return {
      name,
      wallSeconds: { median: median(walls), least: Math.min(...walls), most: Math.max(...walls) },
      ratio: reference === undefined || !samples.has(reference) ? undefined : middle(name) / middle(reference),
      cpuSeconds: median(all.map((one) => one.cpuMs / 1_000)),
      serverCpuSeconds: median(all.map((one) => one.serverCpuMs / 1_000)),
      peakMib: median(all.map((one) => one.peakRssBytes / 2 ** 20)),
      storedMb: stored.length === 0 ? undefined : median(stored),
    }
  })
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

export function renderTable(rows: readonly Row[], reference: string | undefined): string {
  const lines = rows.map((row) => {
    const { median: wall, least, most } = row.wallSeconds
    return [
      row.name,
      `${wall.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`,
      row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`,
      row.cpuSeconds.toFixed(2),
      row.serverCpuSeconds.toFixed(2),
      row.peakMib.toFixed(0),
      row.storedMb === undefined ? '' : row.storedMb.toFixed(row.storedMb < 100 ? 1 : 0),
    ]
  })
  const ratio = reference === undefined ? 'ratio' : `to ${reference.split(',')[0]}`
  return [['case', 'wall s', ratio, 'CPU s', 'server CPU s', 'peak MiB', 'stored MB'], Array(7).fill('---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}
