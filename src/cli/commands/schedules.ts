import { writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { optionEntries } from '../../engine/config-options.ts'
import { retakeSettings } from '../../engine/open.ts'
import {
  configuredSchedules,
  type JudgedRunView,
  readSchedules,
  type SchedulesReport,
  type ScheduleView,
} from '../../engine/schedules.ts'
import { scheduleOf } from '../../schedules/schedule.ts'
import { renderUnits, type Unit } from '../../schedules/systemd.ts'
import { formatInZone } from '../../schedules/words.ts'
import { askOrLook, sourceInWords } from '../ask-server.ts'
import type { CommandContext, CommandOutcome, OptionValues } from '../command.ts'
import { formatAgo, formatDuration, renderTable } from '../format.ts'
import { configFlags, retakeOptions } from '../open.ts'
import { optionInteger, optionText } from '../options.ts'
import type { Terminal } from '../terminal.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options } = context
  const next = optionInteger(options.next, { name: '--next', min: 1, max: 1000 })
  if (options.systemd === true) return await printUnits(context)
  if (options.out !== undefined) throw usage('--out says where the units of --systemd go.', 'Give --systemd as well.')
  const { signal, clock, terminal } = context
  const { value: report, source } = await askOrLook<SchedulesReport>(context, {
    ask: async (client, cluster) => await client.getSchedules({ cluster, next }, { signal }),
    look: async () => {
      await using retake = await context.open()
      return await readSchedules(retake, { next })
    },
  })
  const problems = { ok: undefined, missed: 'health.failed', unknown: 'health.unknown' } as const
  return {
    data: { ...report, source },
    text: `${render(report, { now: clock.now(), terminal })}\n\n${terminal.paint('dim', sourceInWords(source))}`,
    problem: problems[report.verdict],
  }
}

const VERDICTS = {
  ok: ['green', 'on schedule'],
  missed: ['red', 'NOT ON SCHEDULE'],
  unknown: ['yellow', 'UNKNOWN'],
} as const

function render(
  report: SchedulesReport,
  { now, terminal }: { readonly now: Date; readonly terminal: Terminal },
): string {
  const { cluster, configured, verdict, schedules } = report
  if (schedules.length === 0) return `${cluster}: nothing is scheduled (schedules: [] in the configuration)`
  const [color, word] = VERDICTS[verdict]
  const isKept = schedules.some(({ keptSince }) => keptSince !== undefined)
  const isJudged = configured || isKept
  const head = isJudged
    ? `${cluster}: ${terminal.paint(color, word)}${configured ? '' : ' (no schedules are configured; the server keeps the proposed ones)'}`
    : `${cluster}: no schedules are configured, so none is judged. These are proposed; write them as "schedules" into retake.config.yaml (docs/schedules.md).`
  const table = renderTable(schedules, [
    { title: 'SCHEDULE', value: ({ name }) => name },
    { title: 'TASK', value: taskInWords },
    { title: 'WHEN', value: ({ words, zone }) => `${words}, ${zone}` },
    ...(isJudged
      ? [
          {
            title: 'LAST DUE',
            value: ({ last, putOff }: ScheduleView) => {
              const at = last?.at ?? putOff?.at
              return at ? `${at} (${formatAgo(new Date(at), now)})` : 'never yet'
            },
          },
          { title: 'OUTCOME', value: outcomeInWords },
        ]
      : []),
  ])
  const wrong = isJudged ? schedules.flatMap((schedule) => renderProblem(schedule, terminal)) : []
  return [head, table, ...wrong, ...schedules.map(renderNext)].join('\n\n')
}

const taskInWords = ({ task, type, deep, target }: ScheduleView) =>
  [task, type, target, deep ? 'deep' : undefined].filter(Boolean).join(' ')

function outcomeInWords({ last, settled, putOff }: ScheduleView): string {
  const waiting = putOff && `put off: ${putOff.because.join(', ')}; begins by ${putOff.until}`
  const now = waiting ?? (last ? describe(last) : '')
  return settled && settled.at !== last?.at ? `${now}; before: ${describe(settled)}` : now
}

function describe({ outcome, beganLate, runId, beganAt, endedAt }: JudgedRunView): string {
  const words: Record<JudgedRunView['outcome'], string> = {
    succeeded: beganLate ? 'succeeded, began late' : 'succeeded',
    running: 'running',
    due: 'due now',
    late: 'LATE',
    failed: 'FAILED',
    missed: 'MISSED',
    idle: 'done, or nothing to do',
    unknown: 'unknown',
  }
  const took = beganAt && endedAt ? `, ${formatDuration(Math.max(0, Date.parse(endedAt) - Date.parse(beganAt)))}` : ''
  return `${words[outcome]}${runId === undefined ? '' : ` (${runId}${took})`}`
}

function renderProblem(schedule: ScheduleView, terminal: Terminal): string[] {
  const { name, task, verdict, settled, knownFrom } = schedule
  if (verdict === 'ok' || !settled) return []
  if (verdict === 'unknown') {
    return [
      `${terminal.paint('yellow', 'unknown')}  ${name}: whether the run of ${settled.at} came cannot be told; what is held tells it from ${knownFrom} on.`,
    ]
  }
  const fates: Partial<Record<JudgedRunView['outcome'], string>> = {
    late: 'has not begun',
    failed: 'began and failed',
    missed: 'never came',
  }
  const type = schedule.type === undefined ? '' : ` --type ${schedule.type}`
  const fix = `retake ${task === 'drill' ? 'drill run' : task}${type}${schedule.deep ? ' --deep' : ''}`
  const mark = terminal.paint('red', 'MISSED ')
  return [
    `${mark}  ${name}: the run that was due at ${settled.at} ${fates[settled.outcome] ?? 'failed'}.\n         fix: ${fix}`,
  ]
}

function renderNext({ name, zone, next }: ScheduleView): string {
  if (next.length === 0) return `${name}: never due again`
  const lines = next.map(({ startAt }) => {
    const local = zone === 'UTC' ? '' : `  ${formatInZone(new Date(startAt), zone)}`
    return `  ${startAt.replace('.000Z', 'Z')}${local}`
  })
  return [`${name}, next:`, ...lines].join('\n')
}

/** Without opening the repository: it is not needed, and on another machine it may not be there. */
async function printUnits(context: CommandContext): Promise<CommandOutcome> {
  const { directory, clock, terminal, global, env } = context
  const configured = retakeSettings(await retakeOptions(context))
  const { clusterName: cluster, configFile } = configured
  const schedules = configuredSchedules(configured.config).map(scheduleOf)
  const blacked = schedules.find(({ blackouts }) => blackouts.length > 0)
  if (blacked) {
    throw usage(
      `The schedule "${blacked.name}" has blackouts, which timers of systemd do not know; nothing was printed.`,
      'Choose a cron expression that keeps clear of them, and leave the blackouts out.',
    )
  }
  const { units, notes } = renderUnits(schedules, {
    cluster,
    command: [process.execPath, fileURLToPath(new URL('../../../bin/retake.js', import.meta.url))],
    arguments: [
      ...(configFile === undefined ? [] : ['--config', resolve(directory, configFile)]),
      ...givenFlags(global),
      ...['--cluster', cluster, '--no-input', '--quiet'],
    ],
    user: userInfo().username,
    directory,
    now: clock.now(),
  })
  const variables = optionEntries().flatMap(([, option]) => (env[option.env] ? [option.env] : []))
  const all = [...notes, ...environmentNote(variables)]
  for (const note of all) terminal.logger.warn(note)
  const out = optionText(context.options.out)
  if (out === undefined)
    return { data: { units, notes: all }, text: units.map(({ name, text }) => `# ${name}\n${text}`).join('\n') }
  const written = await writeUnits(resolve(directory, out), units)
  return { data: { units, notes: all, written }, text: [...written, '', ...enabling(units)].join('\n') }
}

/** What the command line says must stand in the services as well. */
function givenFlags(global: OptionValues): string[] {
  const given = configFlags(global)
  return optionEntries().flatMap(([name, { flag }]) => {
    const value = given[name]
    const long = flag?.split(' ')[0]
    return name === 'cluster' || long === undefined || typeof value !== 'string' ? [] : [long, value]
  })
}

function environmentNote(names: readonly string[]): string[] {
  if (names.length === 0) return []
  return [
    `A service does not see this shell's environment, which sets: ${names.join(', ')}. Write what they say into the configuration file, or give the services an EnvironmentFile= that only their user can read.`,
  ]
}

async function writeUnits(directory: string, units: readonly Unit[]): Promise<string[]> {
  const written: string[] = []
  for (const { name, text } of units) {
    const file = join(directory, name)
    try {
      await writeFile(file, text)
    } catch (error) {
      throw new RetakeError(
        'config.invalid',
        `${file} could not be written (${systemErrorCode(error) ?? 'unknown error'}).`,
        {
          hint: 'Name a directory that exists and that this user may write to.',
          cause: error,
        },
      )
    }
    written.push(file)
  }
  return written
}

function enabling(units: readonly Unit[]): string[] {
  const timers = units.map(({ name }) => name).filter((name) => name.endsWith('.timer'))
  return ['Now run:', '  systemctl daemon-reload', `  systemctl enable --now ${timers.join(' ')}`]
}

function usage(message: string, hint: string): RetakeError {
  return new RetakeError('config.invalid', message, { hint })
}
