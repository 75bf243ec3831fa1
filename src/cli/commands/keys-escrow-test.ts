import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { type EscrowReport, escrowTest } from '../../engine/keys/escrow-test.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes } from '../format.ts'
import { retakeOptions } from '../open.ts'
import { optionInteger, optionText } from '../options.ts'
import { askHidden } from '../prompt.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  const report = await escrowTest(await retakeOptions(context), {
    kit: await readKit(context),
    frames: optionInteger(options.frames, { name: '--frames', min: 1, max: 100_000 }),
    full: options.full === true,
    directory: optionText(options.directory),
    signal,
    onProgress: terminal.onProgress,
  }).result
  return { data: report, text: render(report) }
}

/** From a file, standard input or a question; never an argument, which every user of the machine can read. */
async function readKit(context: CommandContext): Promise<string> {
  const [name] = context.args
  if (name === '-') return await readAll(process.stdin)
  if (name !== undefined) {
    try {
      return await readFile(resolve(context.directory, name), 'utf8')
    } catch (error) {
      throw new RetakeError(
        'key.missing',
        `The kit ${name} could not be read (${systemErrorCode(error) ?? 'unknown error'}).`,
        {
          hint: 'Name the file that holds the text of the recovery kit, or leave it out and type the key.',
          cause: error,
        },
      )
    }
  }
  if (!context.interactive) {
    throw new RetakeError('key.missing', 'There is no kit to try.', {
      hint: 'Name its file, or give it on standard input: retake keys escrow-test - < kit.txt',
    })
  }
  return await askHidden('The key of the kit (its 64 characters, dashes and blanks do not matter): ', context.signal)
}

function render(report: EscrowReport): string {
  const { repository, kind, label, holder, depth, clusters, recorded, recordError } = report
  const lines = [
    `With its place and this key alone (${holder}, ${kind} "${label}"), ${repository} was opened and read:`,
    ...clusters.map(({ cluster, backupId, frames, bytes, walUntilLsn }) => {
      const parts = [
        ...(backupId === undefined
          ? ['no backup']
          : [
              `backup ${backupId}: the whole manifest, ${frames} frames at random, ${formatBytes(bytes)} authentic and equal`,
            ]),
        ...(walUntilLsn === undefined ? ['no WAL'] : [`the newest WAL, up to ${walUntilLsn}`]),
      ]
      return `  ${cluster}: ${parts.join('; ')}`
    }),
  ]
  if (depth === 'full') lines.push('Every file of the newest backup was restored, and removed again.')
  if (kind !== 'recovery-kit')
    lines.push('This key is no recovery kit. If it is not on paper in a safe, make one: retake keys kit kit.txt')
  lines.push(recorded ? 'That was recorded in the repository.' : `It could not be recorded: ${recordError}`)
  return lines.join('\n')
}
