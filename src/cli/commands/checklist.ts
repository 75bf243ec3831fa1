import { type ChecklistEntry, type ChecklistFacts, checklistOf } from '../../monitor/checklist/checklist.ts'
import { readHealth } from '../../monitor/read-health.ts'
import { askOrLook, sourceInWords } from '../ask-server.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { healthLimitMs, healthSubject } from '../health-look.ts'
import type { Terminal } from '../terminal.ts'

interface Looked extends ChecklistFacts {
  readonly cluster: string
}

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  const { value: report, source } = await askOrLook<Looked>(context, {
    ask: async (client, cluster) => await client.getHealth({ cluster }, { signal }),
    look: async () => await readHealth(await healthSubject(context), { signal, limitMs: healthLimitMs(options) }),
  })
  const { cluster, at } = report
  const entries = checklistOf(report)
  const has = (state: ChecklistEntry['state']) => entries.some((one) => one.state === state)
  return {
    data: { cluster, at, entries, source },
    text: [
      `${cluster}, at ${at}`,
      ...entries.map((entry) => renderEntry(entry, terminal)),
      '',
      terminal.paint('dim', sourceInWords(source)),
    ].join('\n'),
    problem: has('failed') ? 'health.failed' : has('unknown') ? 'health.unknown' : undefined,
  }
}

const MARKS = {
  passed: ['passed ', 'green'],
  failed: ['FAILED ', 'red'],
  skipped: ['skipped', 'gray'],
  unknown: ['UNKNOWN', 'yellow'],
  'not-verifiable': ['person ', 'cyan'],
} as const

function renderEntry({ number, text, state, finding, fix }: ChecklistEntry, terminal: Terminal): string {
  const [mark, color] = MARKS[state]
  const line = `${String(number).padStart(3)}  ${terminal.paint(color, mark)}  ${text}\n              ${finding}`
  return fix === undefined || state === 'passed' ? line : `${line}\n              next: ${fix}`
}
