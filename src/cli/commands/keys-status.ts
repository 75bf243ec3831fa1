import { readKeysStatus } from '../../engine/keys/keys-status.ts'
import type { ClusterKeysView, EpochView, HolderView, KeysStatus } from '../../engine/keys/keys-view.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderTable } from '../format.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal } = context
  await using retake = await context.open()
  const status = await readKeysStatus(retake, { signal, onProgress: terminal.onProgress })
  return { data: status, text: render(status) }
}

function render({ holders, removed, clusters, recommendations }: KeysStatus): string {
  const parts = [renderHolders(holders)]
  if (removed.length > 0) {
    const lines = removed.map(
      ({ holder, kind, label, removedAt, by }) => `  ${holder}  ${kind} "${label}", ${removedAt} by ${by}`,
    )
    parts.push(['Removed:', ...lines].join('\n'))
  }
  for (const cluster of clusters) parts.push(renderCluster(cluster))
  parts.push(
    recommendations.length === 0
      ? 'Nothing to do.'
      : ['To do:', ...recommendations.map((sentence) => `  - ${sentence}`)].join('\n'),
  )
  return parts.join('\n\n')
}

function renderHolders(holders: readonly HolderView[]): string {
  return renderTable(holders, [
    { title: 'HOLDER', value: ({ holder, inUse }) => `${holder}${inUse ? ' *' : ''}` },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'LABEL', value: ({ label }) => label },
    { title: 'ADDED', value: ({ createdAt }) => createdAt },
    { title: 'STATE', value: renderState },
  ])
}

function renderState({ state, dueAt, due, proof }: HolderView): string {
  const words = [state === 'good' ? 'good' : state.toUpperCase()]
  if (proof) words.push(`tried ${proof.provenAt} (${proof.depth})`)
  if (dueAt) words.push(due ? `DUE since ${dueAt}` : `due ${dueAt}`)
  return words.join(', ')
}

function renderCluster({ cluster, epochs, shredded, error, dueAt, due, damaged }: ClusterKeysView): string {
  if (shredded) {
    const [when, may] = shredded.doneAt
      ? [`complete ${shredded.doneAt}`, 'can be read by nobody']
      : ['NOT COMPLETE', 'may still be read by who has a key of the repository']
    return `Cluster "${cluster}": SHREDDED ${shredded.begunAt} by ${shredded.by}, ${when}; ${shredded.keys.length} keys, ${shredded.objects} objects and ${shredded.packs} packs (${formatBytes(shredded.bytes + shredded.packBytes)}) ${may}.`
  }
  if (error) return `Cluster "${cluster}": ${error.message}`
  const table = renderTable(epochs, [
    { title: 'EPOCH', align: 'right', value: ({ epoch, current }) => `${epoch}${current ? ' *' : ''}` },
    { title: 'BEGUN', value: ({ createdAt }) => createdAt },
    { title: 'PACKS', align: 'right', value: ({ packs }) => String(packs) },
    { title: 'IN PACKS', align: 'right', value: ({ packBytes }) => formatBytes(packBytes) },
    { title: 'OBJECTS', align: 'right', value: ({ objects }) => String(objects) },
    { title: 'IN OBJECTS', align: 'right', value: ({ objectBytes }) => formatBytes(objectBytes) },
    { title: 'NOTE', value: noteOf },
  ])
  const policy = dueAt === undefined ? '' : due ? ` (DUE to be replaced since ${dueAt})` : ` (to be replaced ${dueAt})`
  const unread = damaged.length > 0 ? `\nNot counted, because it cannot be read: ${damaged.join(', ')}` : ''
  return `Data keys of "${cluster}"${policy}:\n${table}${unread}`
}

function noteOf({ retiringSince }: EpochView): string {
  return retiringSince === undefined ? '' : `its end was announced ${retiringSince}`
}
