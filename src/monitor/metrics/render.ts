/**
 * Metrics as text: Prometheus' exposition format 0.0.4, or OpenMetrics 1.0.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { MetricFamily } from './families.ts'

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
  const merged = new Map<string, Merged>()
  for (const family of ('families' in reports ? [reports] : reports).flatMap(({ families }) => families)) {
    const entry = merged.get(family.name) ?? { family, values: new Map<string, number>() }
    merged.set(family.name, entry)
    for (const { labels, value } of family.samples) {
      const text = renderLabels(labels)
      // What does not differ between clusters is there once: the same sample twice would be refused.
      if (!entry.values.has(text)) entry.values.set(text, value)
    }
  }
  const text = [...merged.values()].map((one) => renderFamily(one, format)).join('')
  return format === 'openmetrics' ? `${text}# EOF\n` : text
}

/** A metric of all reports: its values by their labels, as these are printed. */
interface Merged {
  readonly family: MetricFamily
  readonly values: Map<string, number>
}

function renderFamily({ family: { name, type, help }, values }: Merged, format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  // OpenMetrics names the family, to which an info adds its suffix; the older format has no such type.
  const family = isOpen && type === 'info' ? name.replace(/_info$/, '') : name
  const unit = isOpen && type === 'gauge' ? /_(seconds|bytes|ratio)$/.exec(name)?.[1] : undefined
  const escapedHelp = isOpen ? escapeLabel(help) : escapeHelp(help)
  return [
    `# HELP ${family} ${escapedHelp}`,
    `# TYPE ${family} ${isOpen ? type : 'gauge'}`,
    ...(unit === undefined ? [] : [`# UNIT ${family} ${unit}`]),
    ...Array.from(values, ([labels, value]) => `${name}${labels} ${renderValue(value)}`),
    '',
  ].join('\n')
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  let pairs = ''
  for (const name in labels) {
    const value = labels[name]
    // An empty label is the same as none.
    if (value) pairs += `${pairs === '' ? '' : ','}${name}="${escapeLabel(value)}"`
  }
  return pairs === '' ? '' : `{${pairs}}`
}

/** Half of a surrogate pair has no UTF-8, and one such name must not make everything unreadable. */
function escapeLabel(text: string): string {
  const wellFormed = text.toWellFormed()
  if (!/[\\\n"]/.test(wellFormed)) return wellFormed
  return wellFormed.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function renderValue(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
