import { checkRepository, type RepositoryCheck } from '../../engine/repo/check.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderFields } from '../format.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal } = context
  await using retake = await context.open()
  const result = await checkRepository(retake, { signal, onProgress: terminal.onProgress }).result
  return { data: result, text: render(result), problem: result.ok ? undefined : 'verify.damaged' }
}

function render(result: RepositoryCheck): string {
  const facts = renderFields([
    ['checked', `${result.objects} objects, ${result.backups} backups, ${result.packs} packs`],
    [
      'unreferenced',
      result.unreferencedPackBytes === 0
        ? undefined
        : `${formatBytes(result.unreferencedPackBytes)} of packs that no backup names; a running backup has some`,
    ],
  ])
  const findings = result.findings.map(({ severity, object, problem, backups }) => {
    const line = `${severity.padEnd(7)}  ${object}: ${problem}`
    return backups.length === 0 ? line : `${line}\n         in backups: ${backups.join(', ')}`
  })
  const wal = result.clusters.flatMap(({ cluster, lostWal, strandedBackups }) => [
    ...lostWal.map(
      ({ beginLsn, endLsn, explanation }) => `error    WAL of ${cluster} from ${beginLsn} to ${endLsn}: ${explanation}`,
    ),
    ...strandedBackups.map(
      (backupId) => `error    backup ${backupId} of ${cluster}: the WAL that makes it consistent is not held`,
    ),
  ])
  const not = `Not checked: ${result.notChecked.join('; ')}.`
  const verdict = result.ok
    ? 'The structure is sound.'
    : 'DAMAGED. See what can be rebuilt: retake repo rebuild --dry-run'
  return [facts, [...findings, ...wal].join('\n'), not, verdict].filter((part) => part !== '').join('\n\n')
}
