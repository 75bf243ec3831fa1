import { followMirrors } from '../../engine/mirrors/follow.ts'
import { type SyncMirrorsOptions, syncMirrors } from '../../engine/mirrors/keep-copies.ts'
import type { CopySync } from '../../repository/mirrors/sync.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderTable } from '../format.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const once: SyncMirrorsOptions = {
    signal,
    onProgress: terminal.onProgress,
    copy: optionText(options.copy),
    setUp: options.setUp === true,
    full: options.full === true,
  }
  const copies = await syncMirrors(retake, once).result
  if (options.follow === true) {
    const logger = { ...terminal.logger, info: (message: string) => terminal.info(message) }
    await followMirrors({ ...retake, logger }, { signal })
    return { data: { copies, stopped: true }, text: '' }
  }
  return { data: { copies }, text: render(copies), problem: problemOf(copies) }
}

function problemOf(copies: readonly CopySync[]) {
  if (copies.some(({ damaged, outcome }) => damaged.length > 0 || outcome === 'conflict')) return 'repo.damaged'
  return copies.some(({ outcome }) => outcome === 'failed') ? 'storage.failed' : undefined
}

function render(copies: readonly CopySync[]): string {
  if (copies.length === 0) return 'There is no other copy to bring up to date.'
  const table = renderTable(copies, [
    { title: 'COPY', value: ({ name }) => name },
    { title: 'NOW', value: ({ outcome }) => outcome },
    {
      title: 'GOT',
      value: ({ copiedObjects, copiedBytes }) => `${copiedObjects} objects, ${formatBytes(copiedBytes)}`,
    },
    {
      title: 'GAVE',
      value: ({ returnedObjects, returnedBytes }) => `${returnedObjects} objects, ${formatBytes(returnedBytes)}`,
    },
  ])
  const notes = copies.flatMap(({ name, error, damaged, conflicts }) => [
    ...(error ? [`${name}: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`] : []),
    ...damaged.map(({ copy, object }) => `${object} is damaged in "${copy}". Repair it: retake repo heal`),
    ...conflicts.map(
      (object) => `${object} differs in "${name}" and the primary; both are authentic, and kept as they are.`,
    ),
  ])
  return [table, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n')
}
