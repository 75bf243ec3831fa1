/** The report for people: as text, and on the console while developing. */
import { toRetakeError } from '../base/errors.ts'
import { type AskOptions, DatabaseBackupManager } from './manager.ts'
import type { BackupReport, TableReport } from './report/types.ts'

export interface LogOptions extends AskOptions {
  /** Default: made from the environment, see {@link BackupMonitor.logBackupStatus}. */
  readonly manager?: Pick<DatabaseBackupManager, 'generateBackupReport'> | undefined
  /** Default: `process.env.NODE_ENV` is there and is not `production`; a page without that variable counts as production. */
  readonly development?: boolean | undefined
  /** Where a text goes; default the console. */
  readonly log?: ((text: string) => void) | undefined
  /** Default `process.env`, where there is one. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

const INDENT = '  '

// biome-ignore lint/complexity/noStaticOnlyClass: the backup strategy calls it by this name and form.
export class BackupMonitor {
  /**
   * Prints the report while developing; in production it asks nothing and prints nothing. Never throws: what is wrong is
   * printed. Without a manager the settings are `SUPABASE_URL`, `SUPABASE_ANON_KEY` (or `SUPABASE_SERVICE_ROLE_KEY`),
   * `SUPABASE_PROJECT_ID` (default: from the address), `SUPABASE_ACCESS_TOKEN`, `RETAKE_STATUS_URL`, `RETAKE_STATUS_TOKEN`.
   * @returns the report, when one was made
   */
  static async logBackupStatus(options: LogOptions = {}): Promise<BackupReport | undefined> {
    if (!(options.development ?? isDevelopment())) return undefined
    // biome-ignore lint/suspicious/noConsole: printing while developing is what it is for.
    const log = options.log ?? ((text: string) => globalThis.console.log(text))
    try {
      const manager = options.manager ?? managerOf(options.env ?? environment())
      if (!manager) {
        log('Backup status: SUPABASE_URL and SUPABASE_ANON_KEY are not set, and no manager was given.')
        return undefined
      }
      const report = await manager.generateBackupReport({ signal: options.signal })
      log(BackupMonitor.formatReport(report))
      return report
    } catch (error) {
      log(`Backup status: ${toRetakeError(error).message}`)
      return undefined
    }
  }

  /** The report as lines of text: first what matters, then the details and what to do. */
  static formatReport(report: BackupReport): string {
    const { connectivity, criticalTables } = report
    return [
      `Backup report for ${nameOf(report)}, ${report.generatedAt}`,
      '',
      `Health score: ${scoreOf(report)}`,
      ...report.health.parts.map(
        ({ name, points, weight, reason }) => `${INDENT}${PART_NAMES[name]}: ${points} of ${weight}. ${reason}`,
      ),
      ...report.health.caps.map(({ atMost, reason }) => `${INDENT}at most ${atMost}: ${reason}`),
      '',
      `Last backup: ${lastOf(report)}`,
      `Point-in-time recovery: ${yesNo(report.pointInTimeRecoveryEnabled)}${because(report, 'pointInTimeRecoveryEnabled')}`,
      `Retention: ${report.backupRetentionDays === 'unknown' ? 'unknown' : `${report.backupRetentionDays} days`}${because(report, 'backupRetentionDays')}`,
      `Recoverable: ${windowsOf(report)}`,
      `Database answers: ${yesNo(connectivity.connected)}${typeof connectivity.latencyMs === 'number' ? ` (${connectivity.latencyMs} ms)` : ''}${because(report, 'connectivity')}`,
      `Critical tables: ${yesNo(criticalTables.valid)}`,
      ...criticalTables.tables.map((table) => `${INDENT}${tableLine(table)}`),
      '',
      ...(report.recommendations.length === 0
        ? ['Nothing to do.']
        : ['To do:', ...report.recommendations.map((text, index) => `${INDENT}${index + 1}. ${text}`)]),
    ].join('\n')
  }
}

const PART_NAMES = {
  recency: 'recency',
  success: 'success rate',
  pointInTime: 'point-in-time recovery',
  retention: 'retention',
} as const

const yesNo = (value: boolean | 'unknown') => (value === 'unknown' ? value : value ? 'yes' : 'NO')

function nameOf({ projectName, projectId, region }: BackupReport): string {
  const name = projectName === 'unknown' ? projectId : `${projectName} (${projectId})`
  return region === 'unknown' ? name : `${name}, ${region}`
}

function scoreOf({ healthScore, health }: BackupReport): string {
  if (healthScore === 'unknown') return `unknown. ${health.reason ?? ''}`.trim()
  const before = health.points === healthScore ? '' : `, ${health.points} before caps`
  return `${healthScore} of 100 (${health.band}${before}; formula ${health.formula})`
}

function lastOf({ lastBackup, sources }: BackupReport): string {
  if (!lastBackup) return 'none'
  const { timestamp, status, type, by, error } = lastBackup
  if (status === 'unknown') return `unknown. ${error ?? sources.lastBackup?.reason ?? ''}`.trim()
  return `${status}, ${timestamp}, ${type.replaceAll('_', ' ')}, by ${by}${error === undefined ? '' : `. ${error}`}`
}

function windowsOf({ recoveryWindows }: BackupReport): string {
  if (recoveryWindows === 'unknown') return 'unknown'
  if (recoveryWindows.length === 0) return 'nothing'
  return recoveryWindows
    .map(({ by, granularity, earliest, latest }) => `${earliest} to ${latest} (${by}, to the ${granularity})`)
    .join('; ')
}

function because({ sources }: BackupReport, field: string): string {
  const reason = sources[field]?.reason
  return reason === undefined ? '' : `. ${reason}`
}

function tableLine({ schema, name, tier, state, rows, rowsAre, rowsSeenBy, reason }: TableReport): string {
  const counted =
    rows === 'unknown' ? 'rows unknown' : `${rowsAre === 'estimated' ? 'about ' : ''}${rows} rows as ${rowsSeenBy}`
  const told = state === 'present' ? counted : state.toUpperCase()
  return `${schema}.${name} (${tier}): ${told}${reason === undefined ? '' : `. ${reason}`}`
}

/** Written so that bundlers can put the value in: they replace exactly `process.env.NODE_ENV`. */
function isDevelopment(): boolean {
  try {
    return process.env.NODE_ENV !== 'production'
  } catch {
    return false
  }
}

function environment(): Readonly<Record<string, string | undefined>> {
  return (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {}
}

function managerOf(env: Readonly<Record<string, string | undefined>>): DatabaseBackupManager | undefined {
  const url = env.SUPABASE_URL
  const key = env.SUPABASE_SERVICE_ROLE_KEY ?? env.SUPABASE_ANON_KEY
  if (!url || !key) return undefined
  const project = env.SUPABASE_PROJECT_ID ?? /^https:\/\/([a-z]{20})\.supabase\.co/.exec(url)?.[1] ?? 'unknown'
  return new DatabaseBackupManager(url, key, project, {
    managementToken: env.SUPABASE_ACCESS_TOKEN || undefined,
    retakeUrl: env.RETAKE_STATUS_URL || undefined,
    retakeToken: env.RETAKE_STATUS_TOKEN || undefined,
  })
}
