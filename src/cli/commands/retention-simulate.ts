import { RetakeError } from '../../base/errors.ts'
import { type RetentionSimulation, simulate } from '../../engine/retention.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderTable } from '../format.ts'
import { optionInteger, optionText } from '../options.ts'
import { describePolicy, durationHours, policyOptions } from '../policy-options.ts'

const MOST_DAYS = 3_660
/** The table of a long time shows every so many days. */
const MOST_LINES = 62

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options } = context
  const days = optionInteger(options.days, { name: '--days', min: 1, max: MOST_DAYS })
  if (days === undefined) throw new RetakeError('config.invalid', '--days is missing.', { hint: 'Such as: --days 60' })
  const every = optionText(options.backupEvery)
  await using retake = await context.open()
  const simulation = await simulate(retake, {
    days,
    backupEveryHours: every === undefined ? undefined : durationHours(every, '--backup-every'),
    policy: policyOptions(options),
    signal: context.signal,
  })
  return { data: simulation, text: render(simulation) }
}

function render(simulation: RetentionSimulation): string {
  const { days, policy, backupEveryHours, backupBytes, walBytesPerDay } = simulation
  const step = Math.ceil(days.length / MOST_LINES)
  const shown = days.filter((_, index) => index % step === 0 || index === days.length - 1)
  return [
    `Policy: ${describePolicy(policy)}; a backup every ${backupEveryHours} h adds ${formatBytes(backupBytes)}, WAL takes ${formatBytes(walBytesPerDay)} a day.`,
    renderTable(shown, [
      { title: 'DAY', value: ({ at }) => at.slice(0, 10) },
      { title: 'BACKUPS', align: 'right', value: ({ backups }) => String(backups) },
      { title: 'MADE', align: 'right', value: ({ made }) => String(made) },
      { title: 'DROPPED', align: 'right', value: ({ dropped }) => String(dropped) },
      { title: 'OLDEST', value: ({ oldestAt }) => oldestAt.slice(0, 16) },
      { title: 'WINDOW FROM', value: ({ windowFrom }) => windowFrom.slice(0, 16) },
      { title: 'STORED', align: 'right', value: ({ packBytes, walBytes }) => formatBytes(packBytes + walBytes) },
    ]),
  ].join('\n\n')
}
