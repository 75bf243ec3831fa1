import { planReEncrypt, type ReEncryptPlan, reEncrypt } from '../../engine/keys/re-encrypt.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes } from '../format.ts'
import { optionInteger } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  const mibPerSecond = optionInteger(options.maxRate, { name: '--max-rate', min: 1, max: 1_000_000 })
  await using retake = await context.open()
  const onProgress = terminal.onProgress
  if (options.dryRun) {
    const plan = await planReEncrypt(retake, { signal, onProgress })
    return { data: { dryRun: true, ...plan }, text: renderPlan(plan) }
  }
  const maxBytesPerSecond = mibPerSecond === undefined ? undefined : mibPerSecond * 1024 * 1024
  const report = await reEncrypt(retake, { signal, onProgress, maxBytesPerSecond }).result
  const { packs, manifests, objects, bytes, epoch, left } = report
  const lines = [
    packs + manifests + objects === 0
      ? `Everything that could be sealed with epoch ${epoch} is.`
      : `Sealed with epoch ${epoch}: ${packs} packs, ${manifests} manifests, ${objects} other objects (${formatBytes(bytes)}).`,
    ...left.map(({ object, reason }) => `Left as it is: ${object}: ${reason}`),
  ]
  if (manifests > 0)
    lines.push('What it replaced goes with `retake prune`, after its time of grace; then: retake keys retire')
  return { data: { cluster: retake.clusterName, ...report }, text: lines.join('\n') }
}

function renderPlan({
  cluster,
  epoch,
  packs,
  packBytes,
  manifests,
  objects,
  objectBytes,
  damaged,
}: ReEncryptPlan): string {
  const lines =
    packs + manifests + objects === 0
      ? [`Nothing of "${cluster}" is sealed by an older key than that of epoch ${epoch}.`]
      : [
          `Would seal with epoch ${epoch}: ${packs} packs (${formatBytes(packBytes)}), ${manifests} manifests, ${objects} other objects (${formatBytes(objectBytes)}).`,
        ]
  for (const { message } of damaged) lines.push(`Would stay as it is: ${message}`)
  return [...lines, 'Nothing was changed.'].join('\n')
}
