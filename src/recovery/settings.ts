/**
 * The settings of a restored server: what it must have so that it harms nobody (R10) and what recovery needs.
 * https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
 */

/** In order: PostgreSQL applies them so, and an empty recovery target must come before the one that counts. */
export type SettingList = readonly (readonly [name: string, value: string])[]

/** How PostgreSQL is told where to stop. */
export interface StopSetting {
  readonly name: 'recovery_target_time' | 'recovery_target_lsn' | 'recovery_target_xid' | 'recovery_target_name'
  readonly value: string
  readonly inclusive: boolean
}

export type AfterRecovery = 'promote' | 'pause' | 'shutdown'

const TARGET_SETTINGS = [
  'recovery_target',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
  'recovery_target_lsn',
] as const

/**
 * What recovery needs. All other targets are emptied first: the restored files may carry one from an earlier restore, and
 * PostgreSQL refuses two.
 */
export function recoverySettings(options: {
  readonly stop: StopSetting
  readonly timeline: number
  readonly restoreCommand: string
  readonly action: AfterRecovery
}): SettingList {
  const others = TARGET_SETTINGS.filter((name) => name !== options.stop.name)
  return [
    ['restore_command', options.restoreCommand],
    ['archive_cleanup_command', ''],
    ['recovery_end_command', ''],
    ['recovery_min_apply_delay', '0'],
    ...others.map((name) => [name, ''] as const),
    [options.stop.name, options.stop.value],
    ['recovery_target_inclusive', options.stop.inclusive ? 'on' : 'off'],
    ['recovery_target_timeline', String(options.timeline)],
    ['recovery_target_action', options.action],
  ]
}

/**
 * What a restored server keeps: it never archives into the old place, never follows the old primary, and never waits for
 * the old standbys (with `synchronous_standby_names` set, every commit would hang).
 */
export function standingSettings(own: Readonly<Record<string, string>>): SettingList {
  const isolation: SettingList = [
    ['archive_mode', 'off'],
    ['primary_conninfo', ''],
    ['primary_slot_name', ''],
    ['synchronous_standby_names', ''],
  ]
  return [...isolation.filter(([name]) => !(name in own)), ...Object.entries(own)]
}

/** While recovery runs, its log goes to a file of ours, in words that we can read, whatever the cluster's own settings are. */
export function loggingSettings(): SettingList {
  return [
    ['logging_collector', 'off'],
    ['log_destination', 'stderr'],
    ['log_min_messages', 'warning'],
    ['log_line_prefix', '%m [%p] '],
    ['lc_messages', 'C'],
  ]
}

export interface CapacitySettings {
  readonly maxConnections: number
  readonly maxWorkerProcesses: number
  readonly maxWalSenders: number
  readonly maxPreparedTransactions: number
  readonly maxLocksPerTransaction: number
}

/** A server in hot standby must have at least what the primary had; the control file says what that was. */
export function capacitySettings(primary: CapacitySettings, configured: ReadonlyMap<string, string>): SettingList {
  const least: readonly (readonly [string, number])[] = [
    ['max_connections', primary.maxConnections],
    ['max_worker_processes', primary.maxWorkerProcesses],
    ['max_wal_senders', primary.maxWalSenders],
    ['max_prepared_transactions', primary.maxPreparedTransactions],
    ['max_locks_per_transaction', primary.maxLocksPerTransaction],
  ]
  return least
    .filter(([name, value]) => !(Number(configured.get(name)) >= value))
    .map(([name, value]) => [name, String(value)] as const)
}

/** A block of settings between marker lines, so that a reader sees what is Retake's and a second run can replace it. */
export function renderBlock(
  block: string,
  options: { readonly comment: string; readonly settings: SettingList },
): string {
  const comment = options.comment.split('\n').map((line) => `# ${line}`)
  const lines = options.settings.map(([name, value]) => `${name} = ${quoteSetting(value)}`)
  return [beginMarker(block), ...comment, ...lines, endMarker(block), ''].join('\n')
}

/** The text with the block at its end; an earlier block of the same name is taken out. The last value of a setting wins. */
export function withBlock(text: string, block: { readonly name: string; readonly rendered: string }): string {
  const rest = withoutBlock(text, block.name)
  return `${rest}${rest === '' || rest.endsWith('\n') ? '' : '\n'}${block.rendered}`
}

export function withoutBlock(text: string, name: string): string {
  const begin = text.indexOf(`${beginMarker(name)}\n`)
  if (begin === -1) return text
  const end = text.indexOf(`${endMarker(name)}\n`, begin)
  return end === -1 ? text.slice(0, begin) : text.slice(0, begin) + text.slice(end + endMarker(name).length + 1)
}

/** https://www.postgresql.org/docs/current/config-setting.html: quotes are doubled, and a backslash escapes. */
export function quoteSetting(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

/** The last value of each setting in a configuration file; `include` lines are not followed. */
export function parseSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#']+)/.exec(line)
    const [, name, value] = match ?? []
    if (name !== undefined && value !== undefined) settings.set(name.toLowerCase(), unquoteSetting(value))
  }
  return settings
}

function unquoteSetting(value: string): string {
  if (!value.startsWith("'")) return value
  return value.slice(1, -1).replaceAll(/''|\\(.)/gs, (match, escaped?: string) => escaped ?? match.slice(1))
}

function beginMarker(block: string): string {
  return `# retake begin: ${block}`
}

function endMarker(block: string): string {
  return `# retake end: ${block}`
}

/** One word of a POSIX shell command. */
export function quoteShell(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** A word for `restore_command`, where a percent sign begins a placeholder. */
export function quoteForRestoreCommand(word: string): string {
  return quoteShell(word).replaceAll('%', '%%')
}
