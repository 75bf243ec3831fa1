/** A drill as people read it. */
import type { DrillRecord } from '../repository/drills.ts'
import { formatBytes, formatDuration, renderFields, renderTable } from './format.ts'
import type { Terminal } from './terminal.ts'

const words = {
  passed: 'passed',
  failed: 'FAILED',
  skipped: 'skipped',
  'not-verifiable': 'not verifiable here',
} as const
const colors = { passed: 'green', failed: 'red', skipped: 'gray', 'not-verifiable': 'yellow' } as const
const RESULT_WIDTH = Math.max(...Object.values(words).map((word) => word.length))

export function renderDrill(drill: DrillRecord, terminal: Pick<Terminal, 'paint'>): string {
  const { target, backup, size, reached, versions, rtoMs, rpoMs, error } = drill
  const parts = [
    renderFields([
      ['drill', `${drill.id} of ${drill.cluster}, by ${drill.by} on ${drill.host}`],
      ['outcome', drill.outcome === 'failed' ? 'FAILED' : drill.outcome],
      ['why', error && `${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`],
      ['target', target && `${target.asked}. ${target.why}`],
      ['backup', backup && `${backup.backupId}, ${backup.type}, of ${backup.stoppedAt}${madeOn(backup.madeOn)}`],
      ['size', size && `${size.files} files, ${formatBytes(size.bytes)}, and ${formatBytes(size.walBytes)} of WAL`],
      ['reached', reached && `${reached.lsn}${reached.at === undefined ? '' : `, last commit ${reached.at}`}`],
      [
        'RPO',
        rpoMs === undefined
          ? undefined
          : `${formatDuration(rpoMs)} before the target (an idle database counts as lost)`,
      ],
      ['RTO', rtoMs === undefined ? undefined : `${formatDuration(rtoMs)} from the order to green checks`],
      [
        'versions',
        `Retake ${versions.retake}${versions.programs === undefined ? '' : `, PostgreSQL ${versions.programs}`}`,
      ],
    ]),
  ]
  if (drill.checks.length > 0) {
    const lines = drill.checks.map(({ result, title, detail }) => {
      const word = terminal.paint(colors[result], words[result].padEnd(RESULT_WIDTH))
      return `${word}  ${title}. ${detail}`
    })
    parts.push(lines.join('\n'))
  }
  if (drill.phases.length > 0) {
    const width = Math.max(...drill.phases.map(({ name }) => name.length))
    parts.push(
      drill.phases.map(({ name, durationMs }) => `${name.padEnd(width)}  ${formatDuration(durationMs)}`).join('\n'),
    )
  }
  if (drill.warnings.length > 0) parts.push(drill.warnings.map((warning) => `note: ${warning}`).join('\n'))
  return parts.join('\n\n')
}

function madeOn(ids: readonly string[]): string {
  return ids.length === 0 ? '' : `, made on ${ids.join(', ')}`
}

export function renderDrills(drills: readonly DrillRecord[]): string {
  return renderTable(drills, [
    { title: 'DRILL', value: ({ id }) => id },
    { title: 'OUTCOME', value: ({ outcome }) => (outcome === 'failed' ? 'FAILED' : outcome) },
    { title: 'DEPTH', value: ({ deep }) => (deep ? 'deep' : '') },
    { title: 'TARGET', value: ({ target }) => (target ? `${target.asked} (${target.chosen})` : '') },
    { title: 'RTO', align: 'right', value: ({ rtoMs }) => (rtoMs === undefined ? '' : formatDuration(rtoMs)) },
    { title: 'BY', value: ({ by }) => by },
    { title: 'FINDING', value: findingOf },
  ])
}

function findingOf({ checks, error }: DrillRecord): string {
  const failed = checks.filter(({ result }) => result === 'failed').map(({ name }) => name)
  return failed.length > 0 ? failed.join(', ') : (error?.code ?? '')
}
