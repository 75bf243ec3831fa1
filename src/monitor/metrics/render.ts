/**
 * Metrics as text: Prometheus' exposition format 0.0.4, or OpenMetrics 1.0.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { MetricFamily, MetricSample } from './families.ts'

export type MetricsFormat = 'prometheus' | 'openmetrics'

/** For the `Content-Type` of an HTTP answer. */
export const METRICS_CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

export interface RenderMetricsOptions {
  /** Default `prometheus`. */
  readonly format?: MetricsFormat | undefined
}

type Report = { readonly families: readonly MetricFamily[] }

/**
 * The text of one report, or of several clusters together: each metric once, with the samples of all. No sample carries a time, so
 * that node_exporter's textfile collector takes it.
 *
 * ```ts
 * console.log(renderMetrics(await readMetrics({ repo, keyFile, databaseUrl })))
 * ```
 */
export function renderMetrics(reports: Report | readonly Report[], options: RenderMetricsOptions = {}): string {
  const format = options.format ?? 'prometheus'
  const families = merge('families' in reports ? [reports] : reports)
  const text = families.map((family) => renderFamily(family, format)).join('')
  return format === 'openmetrics' ? `${text}# EOF\n` : text
}

/** What does not differ between clusters is there once: the same sample twice would be refused. */
function merge(reports: readonly Report[]): MetricFamily[] {
  const [only] = reports
  if (only && reports.length === 1) return [...only.families]
  const merged = new Map<string, { family: MetricFamily; samples: Map<string, MetricSample> }>()
  for (const family of reports.flatMap(({ families }) => families)) {
    const entry = merged.get(family.name) ?? { family, samples: new Map<string, MetricSample>() }
    merged.set(family.name, entry)
    for (const sample of family.samples) {
      const key = renderLabels(sample.labels)
      if (!entry.samples.has(key)) entry.samples.set(key, sample)
    }
  }
  return [...merged.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }))
}

function renderFamily({ name, type, help, samples }: MetricFamily, format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  // OpenMetrics names the family, to which an info adds its suffix; the older format has no such type.
  const family = isOpen && type === 'info' ? name.replace(/_info$/, '') : name
  const unit = isOpen && type === 'gauge' ? /_(seconds|bytes|ratio)$/.exec(name)?.[1] : undefined
  const escapedHelp = isOpen ? escapeLabel(help) : escapeHelp(help)
  return [
    `# HELP ${family} ${escapedHelp}`,
    `# TYPE ${family} ${isOpen ? type : 'gauge'}`,
    ...(unit === undefined ? [] : [`# UNIT ${family} ${unit}`]),
    ...samples.map(({ labels, value }) => `${name}${renderLabels(labels)} ${renderValue(value)}`),
    '',
  ].join('\n')
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  // An empty label is the same as none.
  const pairs = Object.entries(labels).filter(([, value]) => value !== '')
  return pairs.length === 0 ? '' : `{${pairs.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',')}}`
}

/** Half of a surrogate pair has no UTF-8, and one such name must not make everything unreadable. */
function escapeLabel(text: string): string {
  return text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function renderValue(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
