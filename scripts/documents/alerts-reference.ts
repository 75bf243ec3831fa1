import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { alertRules } from '../../src/monitor/alerts/rules.ts'

const PATH = resolve(import.meta.dirname, '../../docs/alerts.md')
const BEGIN = '<!-- From here to the end of the table: made from src/monitor/alerts/rules.ts; change it there. -->'
const END = '<!-- The end of the table. -->'

/** The document as it is, with its table made anew. */
export function renderAlertsReference(): string {
  const text = readFileSync(PATH, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${PATH} has lost the marks of its table`)
  const rows = alertRules.map(({ name, title, severity, forMs, effect, inhibitedBy }) => {
    const explained = inhibitedBy.map((one) => `\`${one}\``).join(' ')
    return `| \`${name}\` | ${title} | ${severity} | ${duration(forMs)} | ${effect} | ${explained} |`
  })
  const head = '| rule | | severity | after | what it means for recovery | explained by |'
  return `${before}${BEGIN}\n\n${[head, '|---|---|---|---|---|---|', ...rows].join('\n')}\n\n${END}${after}`
}

function duration(ms: number): string {
  const minutes = ms / 60_000
  if (minutes === 0) return 'at once'
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`
}
