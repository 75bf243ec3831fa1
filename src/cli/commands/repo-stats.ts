import { repositoryStats } from '../../engine/repo/stats.ts'
import type { ClusterStats, RepositoryStats } from '../../repository/upkeep/stats.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderFields, renderTable } from '../format.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const sharing = options.sharing === true
  const stats = await repositoryStats(retake, { signal, sharing, onProgress: terminal.onProgress }).result
  return { data: stats, text: render(stats) }
}

function render(stats: RepositoryStats): string {
  const { objects, otherPacks } = stats
  const noRatio = otherPacks.objects === 0 ? undefined : 'not known without --sharing: it may use other packs'
  const total = renderFields([
    ['repository', stats.url],
    ['stored', `${formatBytes(stats.storedBytes)} in ${objects} objects`],
    ['holds', `${formatBytes(stats.logicalBytes)}: what all backups restore to, and the WAL${renderRatio(stats)}`],
    [
      'other packs',
      otherPacks.objects === 0
        ? undefined
        : `${otherPacks.objects} with ${formatBytes(otherPacks.bytes)}: of backups that were not finished or no longer exist, or rewritten; backups may use them`,
    ],
  ])
  const kinds = renderTable(stats.kinds, [
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'OBJECTS', align: 'right', value: (one) => String(one.objects) },
    { title: 'STORED', align: 'right', value: ({ bytes }) => formatBytes(bytes) },
  ])
  return [total, kinds, ...stats.clusters.map((cluster) => renderCluster(cluster, noRatio))].join('\n\n')
}

function renderCluster(cluster: ClusterStats, noRatio: string | undefined): string {
  const { sharing, unreadableBackups } = cluster
  return renderFields([
    ['cluster', cluster.cluster],
    ['backups', `${cluster.backups}, which restore to ${formatBytes(cluster.logicalBytes)}`],
    ['cannot be read', unreadableBackups.length === 0 ? undefined : unreadableBackups.join(', ')],
    ['stored', `${formatBytes(cluster.storedBytes)} of packs and manifests`],
    ['WAL', `${formatBytes(cluster.walLogicalBytes)}, stored as ${formatBytes(cluster.walStoredBytes)}`],
    ['ratio', cluster.ratio === undefined ? noRatio : `${cluster.ratio.toFixed(1)} to 1`],
    [
      'sharing saves',
      sharing &&
        `${formatBytes(sharing.savedBytes)}: each backup by itself would take ${formatBytes(sharing.aloneBytes)}, together they take ${formatBytes(sharing.referencedBytes)}`,
    ],
  ])
}

function renderRatio({ ratio }: RepositoryStats): string {
  return ratio === undefined ? '' : ` (${ratio.toFixed(1)} to 1)`
}
