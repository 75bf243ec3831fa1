import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { catalogue } from '../../src/monitor/metrics/catalogue.ts'

const PATH = resolve(import.meta.dirname, '../../docs/metrics.md')
const BEGIN = '<!-- From here to the end of the table: made from src/monitor/metrics/catalogue.ts; change it there. -->'
const END = '<!-- The end of the table. -->'

/** The document as it is, with its table made anew. */
export function renderMetricsReference(): string {
  const text = readFileSync(PATH, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${PATH} has lost the marks of its table`)
  const rows = Object.entries(catalogue).map(([name, { help, labels }]) => {
    const own = name === 'retake_build_info' ? '' : 'cluster'
    const all = [own, ...labels].filter((label) => label !== '')
    return `| \`${name}\` | ${help} | ${all.map((label) => `\`${label}\``).join(' ')} |`
  })
  const table = ['| metric | | labels |', '|---|---|---|', ...rows].join('\n')
  return `${before}${BEGIN}\n\n${table}\n\n${END}${after}`
}
