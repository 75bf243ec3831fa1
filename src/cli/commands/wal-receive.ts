import { RetakeError } from '../../base/errors.ts'
import { type Retake, spoolDirectory } from '../../engine/open.ts'
import { receiveWal } from '../../engine/receive-wal.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import type { CommandContext, CommandOutcome, OptionValues } from '../command.ts'
import { optionText, requireOption } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal } = context
  const until = goalOf(context.options)
  assertSpoolIsUsed(context.options)
  await using retake = await context.open()
  const spool = spoolOf(context.options, retake)
  // This command speaks of what happens to it: it runs for months, and its messages are what a service's log holds.
  const logger = { ...terminal.logger, info: (message: string) => terminal.info(message) }
  const run = receiveWal(
    { ...retake, logger },
    {
      signal,
      onProgress: terminal.onLineProgress,
      synchronous: context.options.synchronous === true,
      spoolDirectory: spool,
      until,
    },
  )
  const { timeline, flushLsn } = await run.result
  return {
    data: { cluster: retake.clusterName, timeline, flushLsn, stopped: signal.aborted },
    text: `Held up to ${flushLsn} on timeline ${timeline}.`,
  }
}

function assertSpoolIsUsed({ acknowledge, spool }: OptionValues): void {
  if (spool === undefined || acknowledge === 'local') return
  throw new RetakeError('config.invalid', '--spool is used only with --acknowledge local.', {
    hint: 'Add --acknowledge local, or leave out --spool.',
  })
}

function spoolOf({ acknowledge, spool }: OptionValues, retake: Retake): string | undefined {
  if (acknowledge !== 'local') return undefined
  return requireOption(optionText(spool) ?? spoolDirectory(retake), {
    name: '--spool',
    hint: 'With --acknowledge local, name a directory on a disk of this machine that survives a reboot: --spool DIR, or RETAKE_SPOOL.',
  })
}

function goalOf(options: OptionValues) {
  const { untilCaughtUp, untilLsn } = options
  if (untilCaughtUp && untilLsn) {
    throw new RetakeError('config.invalid', '--until-caught-up and --until-lsn exclude each other.', {
      hint: 'Give one of them.',
    })
  }
  if (untilCaughtUp) return { kind: 'caught-up' } as const
  return typeof untilLsn === 'string' ? ({ kind: 'lsn', lsn: parseLsn(untilLsn) } as const) : undefined
}
