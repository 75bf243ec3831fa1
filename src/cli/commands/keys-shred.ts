import { type ShredCopy, type ShredReport, shredCluster } from '../../engine/keys/shred.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes } from '../format.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal } = context
  await using retake = await context.open()
  const report = await shredCluster(retake, {
    cluster: context.args[0] ?? '',
    confirm: optionText(options.yes),
    deleteObjects: options.deleteObjects === true,
    dryRun: options.dryRun === true,
    signal,
  })
  return { data: { repository: retake.repository.url, ...report }, text: render(report) }
}

const ELSEWHERE =
  'Copies of its keys that lie elsewhere are not reached from here: copies that were given up, images and backups of the storage. Whoever has such a copy and a key of this repository can still read the backups; destroy clusters/NAME/keys/ there too.'

function renderCopy({ copy, url, objects, versions }: ShredCopy): string {
  const name = copy === undefined ? url : `${copy} (${url})`
  return `  ${name}: ${objects} key objects in ${versions} versions; no lock and no legal hold keeps them.`
}

function render({ cluster, outcome, backups, packs, epochs, copies, proof, deleted }: ShredReport): string {
  if (outcome === 'planned') {
    return [
      `Would destroy ${epochs} data keys of "${cluster}". Lost for ever: ${backups} backups (${packs} packs) and all WAL of it.`,
      ...copies.map(renderCopy),
      ELSEWHERE,
      `Nothing was changed. To do it: retake keys shred ${cluster} --yes ${cluster}`,
    ].join('\n')
  }
  const lines =
    outcome === 'was-shredded'
      ? [`"${cluster}" was shredded before; it was looked through again for keys, and there are none.`]
      : [`Every data key of "${cluster}" is destroyed. Nothing of it can be read any more.`]
  if (proof) {
    lines.push(
      `Proof (clusters/${cluster}/shred/): begun ${proof.begunAt} by ${proof.by}, complete ${proof.doneAt}; ${proof.objects} objects and ${proof.packs} packs (${formatBytes(proof.bytes + proof.packBytes)}).`,
      ...proof.keys.map(({ object, sha256 }) => `  ${object}  sha256 ${sha256}`),
    )
  }
  lines.push('No copy of the repository stores a key of it any more, nor a version of one:')
  lines.push(...copies.map(({ copy, url }) => `  ${copy === undefined ? url : `${copy} (${url})`}`))
  if (deleted) {
    const locked = deleted.locked > 0 ? `; ${deleted.locked} are locked by the storage for now` : ''
    lines.push(`Deleted ${deleted.objects} objects${locked}.`)
  } else lines.push(`To have the space back: retake keys shred ${cluster} --yes ${cluster} --delete-objects`)
  return [...lines, ELSEWHERE].join('\n')
}
