/** What shall be kept. Every rule can only keep; a backup goes when no rule keeps it. */
export interface RetentionPolicy {
  /** Backups that ended within this many days are kept. */
  readonly days: number
  /** Any moment of this many days can be restored while a backup before them exists; 0: since the newest backup. Default: `days`. */
  readonly walDays?: number | undefined
  /** The newest so many backups are kept. */
  readonly count?: number | undefined
  /** The newest backup of each of the last so many days, weeks (ISO), months and years that have one; UTC. */
  readonly daily?: number | undefined
  readonly weekly?: number | undefined
  readonly monthly?: number | undefined
  readonly yearly?: number | undefined
}

export const DEFAULT_RETENTION_DAYS = 7

const DAY_MS = 86_400_000

/** Backups that ended at or after this instant are young. */
export function ageCutoff(policy: RetentionPolicy, now: Date): Date {
  return new Date(now.getTime() - policy.days * DAY_MS)
}

/** The promised recovery window begins here. */
export function walCutoff(policy: RetentionPolicy, now: Date): Date {
  return new Date(now.getTime() - (policy.walDays ?? policy.days) * DAY_MS)
}

/** Periods of the calendar, in UTC: two instants are in the same one when their texts are equal; later ones are greater. */
export const periods = {
  daily: (at: Date) => at.toISOString().slice(0, 10),
  weekly: isoWeek,
  monthly: (at: Date) => at.toISOString().slice(0, 7),
  yearly: (at: Date) => at.toISOString().slice(0, 4),
} as const satisfies Record<string, (at: Date) => string>

export type Period = keyof typeof periods

/** `2026-W47`: the week that holds the Thursday, as ISO 8601 counts. */
function isoWeek(at: Date): string {
  const thursday = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()))
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7))
  const year = thursday.getUTCFullYear()
  const week = Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS + 1) / 7)
  return `${year}-W${String(week).padStart(2, '0')}`
}
