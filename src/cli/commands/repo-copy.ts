import { isAbsolute, resolve } from 'node:path'
import { copyRepository } from '../../engine/repo/copy.ts'
import type { CopyReport } from '../../repository/upkeep/copy.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderFields } from '../format.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options, args, directory } = context
  await using retake = await context.open()
  const [place = ''] = args
  const to = /^[a-z][a-z0-9+.-]*:/i.test(place) || isAbsolute(place) ? place : resolve(directory, place)
  const dryRun = options.dryRun === true
  const cluster = optionText(options.onlyCluster)
  const report = await copyRepository(retake, { to, cluster, dryRun, signal, onProgress: terminal.onProgress }).result
  return { data: { dryRun, ...report }, text: render(report, dryRun) }
}

function render({ from, to, clusters, copied, present }: CopyReport, dryRun: boolean): string {
  const fields = renderFields([
    ['from', from],
    ['to', to],
    ['clusters', clusters.join(', ')],
    [dryRun ? 'to copy' : 'copied', `${copied.objects} objects, ${formatBytes(copied.bytes)}`],
    ['already there', `${present.objects} objects, ${formatBytes(present.bytes)}`],
  ])
  const next = dryRun
    ? 'Nothing was copied.'
    : `Every object that was copied was read back. To prove the copy by itself: retake verify --deep --repo ${to}`
  return `${fields}\n\n${next}`
}
