/** Metrics as data, and the writer that collects them. What is unknown is absent: a 0 would be a claim. */
import { catalogue, type LabelsOf, type MetricName } from './catalogue.ts'

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  readonly name: string
  readonly type: 'gauge' | 'info'
  readonly help: string
  readonly samples: readonly MetricSample[]
}

type Value = number | boolean | undefined

/** Collects samples; `undefined` leaves a sample out. */
export interface MetricsWriter {
  /** A metric without labels of its own. */
  readonly put: <N extends PlainName>(name: N, value: Value) => void
  readonly putLabelled: <N extends MetricName>(name: N, labels: LabelsOf<N>, value: Value) => void
  /** In the order of the catalogue; metrics without a sample are left out. */
  readonly families: () => MetricFamily[]
}

/** Names of metrics that have no label but `cluster`. */
export type PlainName = { [N in MetricName]: keyof LabelsOf<N> extends never ? N : never }[MetricName]

export function metricsWriter(cluster: string): MetricsWriter {
  const samples = new Map<string, MetricSample[]>()
  const add = (name: MetricName, labels: Readonly<Record<string, string>>, value: Value) => {
    if (value === undefined) return
    const all = name === 'retake_build_info' ? labels : { cluster, ...labels }
    const list = samples.get(name)
    const sample = { labels: all, value: Number(value) }
    if (list) list.push(sample)
    else samples.set(name, [sample])
  }
  return {
    put: (name, value) => add(name, {}, value),
    putLabelled: (name, labels, value) => add(name, labels, value),
    families: () =>
      Object.entries(catalogue).flatMap(([name, { type, help }]) => {
        const found = samples.get(name)
        return found ? [{ name, type, help, samples: found }] : []
      }),
  }
}

/** 1 at the one that holds, 0 at the others, so that a change of state never leaves a stale 1 behind. */
export function eachState<S extends string>(states: readonly S[], current: S): [S, number][] {
  return states.map((state) => [state, state === current ? 1 : 0])
}

/** An ISO 8601 instant in seconds since 1970. */
export function epochSeconds(instant: string | undefined): number | undefined {
  return instant === undefined ? undefined : Date.parse(instant) / 1000
}

export function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
