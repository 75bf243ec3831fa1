import { type InitialiseReport, initialise, type StepOutcome } from '../../engine/initialise.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderFields } from '../format.ts'
import { retakeOptions } from '../open.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const report = await initialise({
    ...(await retakeOptions(context)),
    newKeyFile: optionText(context.options.newKey),
    recoveryKitFile: optionText(context.options.recoveryKit),
    dryRun: context.options.dryRun === true,
  })
  return { data: report, text: render(report) }
}

const MIRROR_WORDS = { created: 'made', exists: 'was there', failed: 'differs from the repository' } as const
const WORDS: Readonly<Record<StepOutcome, string>> = { created: 'made', exists: 'was there', planned: 'would be made' }

function render(report: InitialiseReport): string {
  const { repository, keyFile, recoveryKit, cluster, slot } = report
  const version = `PostgreSQL ${Math.floor(cluster.serverVersionNum / 10_000)}.${cluster.serverVersionNum % 10_000}`
  const fields = renderFields([
    ['repository', `${repository.url} (${WORDS[repository.outcome]})`],
    ['key file', keyFile && `${keyFile.file} (${WORDS[keyFile.outcome]})`],
    ['recovery kit', recoveryKit && `${recoveryKit.file} (${WORDS[recoveryKit.outcome]})`],
    [
      'cluster',
      `${cluster.name}: ${version} at ${cluster.server}, system ${cluster.systemIdentifier} (${WORDS[cluster.outcome]})`,
    ],
    ...(report.mirrors ?? []).map((mirror): [string, string] => [
      `mirror ${mirror.name}`,
      `${mirror.url} (${mirror.error ? `FAILED: ${mirror.error.message}` : MIRROR_WORDS[mirror.outcome]})`,
    ]),
    ['slot', `${slot.name}${slot.restartLsn ? ` from ${slot.restartLsn}` : ''} (${WORDS[slot.outcome]})`],
  ])
  return report.dryRun ? `${fields}\n\nNothing was changed.` : `${fields}\n\n${nextSteps(report)}`
}

function nextSteps({ keyFile, recoveryKit }: InitialiseReport): string {
  const steps = [
    ...(keyFile ? [`export RETAKE_KEY_FILE=${keyFile.file}`] : []),
    'retake doctor         # what is wrong, with the exact fix',
    'retake wal receive    # as a service: every second from now on becomes recoverable',
    'retake backup         # the first backup',
  ]
  const warnings = [
    ...(keyFile && !recoveryKit
      ? ['Without the key nobody can restore. Make a kit to print: retake keys kit kit.txt']
      : []),
    ...(recoveryKit?.outcome === 'created' ? [`Print ${recoveryKit.file}, lock it away, and delete the file.`] : []),
  ]
  return ['Next:', ...steps.map((step) => `  ${step}`), ...warnings.map((warning) => `\n${warning}`)].join('\n')
}
