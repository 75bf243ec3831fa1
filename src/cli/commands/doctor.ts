import type { CheckArea, CheckResult, CheckState } from '../../engine/doctor/check.ts'
import { diagnose } from '../../engine/doctor/doctor.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { retakeOptions } from '../open.ts'
import { optionInteger, optionText } from '../options.ts'
import type { Terminal } from '../terminal.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const seconds = optionInteger(context.options.timeout, { name: '--timeout', min: 1, max: 3600 })
  const options = await retakeOptions(context)
  const spool = optionText(context.options.spool) ?? options.spool
  const report = await diagnose(spool === undefined ? options : { ...options, spool }, {
    stepLimitMs: (seconds ?? 10) * 1000,
    signal: context.signal,
  })
  return {
    data: report,
    text: render(report.checks, context.terminal),
    problem: report.healthy ? undefined : 'health.failed',
  }
}

const MARKS: Readonly<Record<CheckState, readonly [mark: string, color: 'green' | 'red' | 'yellow' | 'gray']>> = {
  passed: ['ok     ', 'green'],
  failed: ['FAILED ', 'red'],
  warning: ['warning', 'yellow'],
  skipped: ['skipped', 'gray'],
  unknown: ['unknown', 'gray'],
}

const AREAS: readonly CheckArea[] = ['server', 'replication', 'repository', 'machine']

function render(checks: readonly CheckResult[], terminal: Terminal): string {
  const sections = AREAS.map((area) => {
    const lines = checks.filter((check) => check.area === area).map((check) => renderCheck(check, terminal))
    return [`${area[0]?.toUpperCase()}${area.slice(1)}`, ...lines].join('\n')
  })
  return [...sections, summary(checks)].join('\n\n')
}

function renderCheck({ state, title, finding, fix }: CheckResult, terminal: Terminal): string {
  const [mark, color] = MARKS[state]
  const indent = ' '.repeat(11)
  const lines = [`  ${terminal.paint(color, mark)}  ${title}: ${finding}`]
  if (fix) lines.push(...`fix: ${fix}`.split('\n').map((line) => `${indent}${line}`))
  return lines.join('\n')
}

function summary(checks: readonly CheckResult[]): string {
  const count = (state: CheckState) => checks.filter((check) => check.state === state).length
  const [failed, warnings] = [count('failed'), count('warning')]
  if (failed > 0) return `${failed} failed, ${warnings} to look at: repair what FAILED first.`
  return warnings > 0 ? `Nothing failed; ${warnings} to look at.` : 'Everything is in order.'
}
