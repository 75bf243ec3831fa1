/** Schedules as timers of systemd, for running them without a server. What a timer cannot do is said, not left out silently. */
import type { CronExpression } from './cron.ts'
import { occurrencesAfter } from './occurrences.ts'
import type { Schedule } from './schedule.ts'

export interface Unit {
  /** The name of its file. */
  readonly name: string
  readonly text: string
}

export interface Units {
  /** A service and a timer for each schedule. */
  readonly units: readonly Unit[]
  /** Sentences: where a timer does something else than the schedule says. */
  readonly notes: readonly string[]
}

export interface UnitsOptions {
  readonly cluster: string
  /** The program and the arguments that come before the task, by absolute paths. */
  readonly command: readonly string[]
  /** Arguments that come after the task. */
  readonly arguments: readonly string[]
  /** Whose rights the services have. */
  readonly user: string
  /** What relative paths of the configuration refer to. */
  readonly directory: string
  readonly now: Date
}

/** The units of schedules without blackouts, which timers do not know. https://www.freedesktop.org/software/systemd/man/latest/systemd.timer.html */
export function renderUnits(schedules: readonly Schedule[], options: UnitsOptions): Units {
  return {
    units: schedules.flatMap((schedule) => [renderService(schedule, options), renderTimer(schedule, options)]),
    notes: schedules.flatMap((schedule) => gapNote(schedule, options.now)),
  }
}

const unitName = ({ name }: Schedule, { cluster }: UnitsOptions) => `retake-${cluster}-${name}`

const title = ({ name, task }: Schedule, { cluster }: UnitsOptions) =>
  `Retake: ${task} of ${cluster}${name === task ? '' : ` (${name})`}`

function renderService(schedule: Schedule, options: UnitsOptions): Unit {
  const { command, arguments: more, user, directory } = options
  const words = [...command, ...taskOf(schedule), ...more]
  const text = `[Unit]
Description=${escapeSpecifiers(title(schedule, options))}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User=${escapeSpecifiers(user)}
WorkingDirectory=${escapeSpecifiers(directory)}
ExecStart=${words.map(quoteWord).join(' ')}
`
  return { name: `${unitName(schedule, options)}.service`, text }
}

function renderTimer(schedule: Schedule, options: UnitsOptions): Unit {
  const calendars = onCalendar(schedule.cron).map((calendar) => `OnCalendar=${calendar} ${schedule.zone}`)
  const jitterSeconds = Math.floor(schedule.jitterMs / 1000)
  // The delay is chosen by the machine, and kept: the same at every run.
  const delay = jitterSeconds > 0 ? [`RandomizedDelaySec=${jitterSeconds}s`, 'FixedRandomDelay=true'] : []
  const text = `# ${schedule.cron.text}, ${schedule.zone}
[Unit]
Description=${escapeSpecifiers(title(schedule, options))}

[Timer]
${[...calendars, ...delay].join('\n')}
# A run that was due while the machine was off begins when it is back.
Persistent=true

[Install]
WantedBy=timers.target
`
  return { name: `${unitName(schedule, options)}.timer`, text }
}

/** The arguments of `retake` that do what is scheduled. */
export function taskOf({ task, type, deep, target }: Pick<Schedule, 'task' | 'type' | 'deep' | 'target'>): string[] {
  if (task === 'drill') {
    return ['drill', 'run', ...(target === 'latest' ? ['--at', 'latest'] : ['--random']), ...(deep ? ['--deep'] : [])]
  }
  if (task === 'backup') return ['backup', '--type', type ?? 'incremental']
  return task === 'verify' && deep ? ['verify', '--deep'] : [task]
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/**
 * The same times as calendar events; several where a day of the month or one of the week is enough, because an event wants both.
 * https://www.freedesktop.org/software/systemd/man/latest/systemd.time.html#Calendar%20Events
 */
export function onCalendar(cron: CronExpression): string[] {
  const { minutes, hours, days, months, weekdays, needsBothDays } = cron
  const list = (values: readonly number[], count: number) => (values.length === count ? '*' : values.map(pad).join(','))
  const week = weekdays.length === 7 ? '' : `${weekdays.map((day) => WEEKDAYS[day]).join(',')} `
  const time = `${list(hours, 24)}:${list(minutes, 60)}:00`
  const month = list(months, 12)
  if (needsBothDays || days.length === 31 || week === '') return [`${week}*-${month}-${list(days, 31)} ${time}`]
  return [`*-${month}-${list(days, 31)} ${time}`, `${week}*-${month}-* ${time}`]
}

const DAY_MS = 86_400_000

/** systemd leaves out a time that the clock skips; the schedule has it right after the gap. */
function gapNote({ name, cron, zone }: Schedule, now: Date): string[] {
  // Every hour is there on every day, and in UTC no time is skipped.
  if (cron.hours.length === 24 || zone === 'UTC') return []
  const local = new Intl.DateTimeFormat('en', { timeZone: zone, hourCycle: 'h23', hour: 'numeric', minute: 'numeric' })
  const fits = (at: Date) => {
    const parts = new Map(local.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    return cron.hours.includes(parts.get('hour') ?? -1) && cron.minutes.includes(parts.get('minute') ?? -1)
  }
  for (const at of occurrencesAfter(cron, { zone, after: now })) {
    if (at.getTime() - now.getTime() > 400 * DAY_MS) return []
    if (fits(at)) continue
    const note = `On the day of ${at.toISOString()} the clock of ${zone} skips a time of the schedule "${name}": systemd leaves that run out. Choose a time that every day has.`
    return [note]
  }
  return []
}

/** As systemd reads command lines: `%` and `$` are its own. */
function quoteWord(word: string): string {
  const escaped = escapeSpecifiers(word).replaceAll('$', '$$$$')
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(escaped)
    ? escaped
    : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%')
}

function pad(value: number): string {
  return String(value).padStart(2, '0')
}
