import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { renderMetrics } from '../../monitor/metrics/render.ts'
import { readMetrics } from '../../monitor/read-metrics.ts'
import { replaceFile } from '../../recovery/durable-files.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { healthLimitMs, healthSubject, readEarlierIfThere } from '../health-look.ts'
import { optionInteger, optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal } = context
  const out = fileOption(context, 'out')
  const observation = fileOption(context, 'observation')
  const backups = optionInteger(options.backups, { name: '--backups', min: 0, max: 1_000_000 })
  for (const file of [out, observation]) if (file !== undefined) await refuseSpecial(file)
  const { families, ...report } = await readMetrics(await healthSubject(context), {
    signal,
    limitMs: healthLimitMs(options),
    earlier: observation === undefined ? undefined : await readEarlierIfThere(observation),
    backups,
  })
  const format = options.openmetrics === true ? 'openmetrics' : 'prometheus'
  const text = renderMetrics({ families }, { format })
  if (out !== undefined) await write(out, text)
  // Of a server that did not answer nothing was seen; what was seen before it went is what the next look compares with.
  if (observation !== undefined && report.observation) {
    await write(observation, `${JSON.stringify({ observation: report.observation }, undefined, 2)}\n`)
  }
  return { data: { ...report, ...(out === undefined ? {} : { file: out }), families }, text: out ? '' : text }
}

function fileOption({ options, directory }: CommandContext, name: string): string | undefined {
  const file = optionText(options[name])
  return file === undefined ? undefined : resolve(directory, file)
}

/** A device or a directory would be replaced by a file. @throws RetakeError `config.invalid` */
async function refuseSpecial(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined)
  if (!found || found.isFile()) return
  throw new RetakeError('config.invalid', `${file} is no regular file, and was not replaced.`, {
    hint: 'Name a file; without --out the metrics go to stdout.',
  })
}

/** Readable by others, because the collector runs as another user; a umask may still say no. */
async function write(file: string, text: string): Promise<void> {
  try {
    await replaceFile(file, text, { mode: 0o644 })
  } catch (error) {
    throw new RetakeError(
      'config.invalid',
      `${file} could not be written (${systemErrorCode(error) ?? 'unknown error'}), so it tells nothing new.`,
      { hint: 'Name a file in a directory that exists and that you may write.', cause: error },
    )
  }
}
