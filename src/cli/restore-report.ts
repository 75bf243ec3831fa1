import type { RestorePlan } from '../recovery/plan-types.ts'
import type { RestoreReport } from '../recovery/report.ts'
import { formatBytes, formatDuration, renderFields } from './format.ts'

const OUTCOMES: Readonly<Record<RestoreReport['outcome'], string>> = {
  promoted: 'recovered and promoted: it takes writes',
  paused: 'recovered and paused at the target: read-only',
  'shut-down': 'recovered and shut down at the target',
  'laid-out': 'laid out; the server was not started',
}

export function renderReport(report: RestoreReport, plan: RestorePlan): string {
  const { files, wal, reached, server, phases } = report
  const fields = renderFields([
    ['restored', `${report.targetDirectory}: ${OUTCOMES[report.outcome]}`],
    ['from', `backup ${report.backupId} of ${report.cluster}`],
    ['target', report.target],
    ['reached', reached && `${reached.lsn}${reached.newTimeline ? `, now timeline ${reached.newTimeline}` : ''}`],
    [
      'last transaction',
      reached?.xid === undefined ? undefined : `${reached.xid}${reached.at ? ` at ${reached.at}` : ''}`,
    ],
    ['PostgreSQL said', reached?.stopping],
    [
      'files',
      files.comparedBytes === undefined
        ? `${files.count}, ${formatBytes(files.writtenBytes)} written`
        : `${files.count}, ${formatBytes(files.comparedBytes)} compared, ${formatBytes(files.fetchedBytes)} fetched, ${formatBytes(files.writtenBytes)} written`,
    ],
    ['undo', report.undoDirectory],
    [
      'WAL',
      reached &&
        `${wal.segments} segments${wal.replayMs === undefined ? '' : `, replayed in ${formatDuration(wal.replayMs)}`}`,
    ],
    [
      'took',
      `${formatDuration(report.totalMs)} (${phases.map(({ name, durationMs }) => `${name} ${formatDuration(durationMs)}`).join(', ')}); predicted ${formatDuration(plan.predicted.totalMs)}`,
    ],
    ['connect', server?.connect],
    ['log', server?.logFile],
    ['stop', server?.stop],
  ])
  return [fields, ...report.warnings.map((warning) => `Note: ${warning}`)].join('\n\n')
}
