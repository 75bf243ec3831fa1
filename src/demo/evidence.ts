/** What the demo claims, with the numbers behind it, as a file that stays. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { systemErrorCode } from '../base/errors.ts'
import { retakeVersion } from '../base/version.ts'
import type { BackupReport } from '../engine/backup.ts'
import type { DatabaseDigest } from './content-digest.ts'
import type { Disaster } from './disasters.ts'
import type { Proof } from './proof.ts'
import type { Recovered } from './recover.ts'
import type { StepTiming } from './story.ts'

export interface EvidenceFacts {
  readonly disaster: Disaster
  readonly backup: BackupReport
  readonly recovered: Recovered
  readonly proof: Proof
  readonly timings: readonly StepTiming[]
  readonly totalMs: number
}

const DIRECTORY = '.retake-demo'

/** Writes `<directory>/evidence-<instant>.json` and returns its path. */
export async function writeEvidence(directory: string | undefined, facts: EvidenceFacts): Promise<string> {
  const { disaster, backup, recovered, proof } = facts
  const evidence = {
    schemaVersion: 1,
    kind: 'retake demo',
    retakeVersion: retakeVersion(),
    writtenAt: new Date().toISOString(),
    disaster: { kind: disaster.kind, at: disaster.at, command: disaster.command, xid: disaster.xid?.toString() },
    backup: backup.backup,
    plan: recovered.plan,
    result: {
      exact: proof.differences.length === 0 && proof.lost === 0,
      differences: proof.differences,
      acknowledgedTransactions: proof.acknowledged,
      lostTransactions: proof.lost,
      transactionsAfterTheDisaster: proof.after,
      rpoMs: proof.rpoMs,
      rtoMs: Math.round(recovered.rtoMs),
    },
    steps: facts.timings.map(({ title, ms }) => ({ title, ms: Math.round(ms) })),
    totalMs: Math.round(facts.totalMs),
    contentBefore: plain(proof.expected),
    contentRecovered: plain(proof.found),
  }
  const name = `evidence-${disaster.at.replace(/[-:]/g, '').replace(/\.\d+/, '')}.json`
  const text = `${JSON.stringify(evidence, null, 2)}\n`
  try {
    return await writeInto(directory ?? DIRECTORY, { name, text })
  } catch (error) {
    if (directory !== undefined || !['EACCES', 'EPERM', 'EROFS'].includes(systemErrorCode(error) ?? '')) throw error
    return await writeInto(await mkdtemp(path.join(tmpdir(), 'retake-demo-evidence-')), { name, text })
  }
}

async function writeInto(
  directory: string,
  { name, text }: { readonly name: string; readonly text: string },
): Promise<string> {
  await mkdir(directory, { recursive: true })
  const file = path.join(directory, name)
  await writeFile(file, text)
  return file
}

function plain({ tables, sequences }: DatabaseDigest) {
  return {
    tables,
    sequences: Object.fromEntries(
      Object.entries(sequences).map(([name, { lastValue }]) => [name, lastValue.toString()]),
    ),
  }
}
