/** Looks into the recovered server: is it what was asked for, and can everything in it be read? */

import { throwIfAborted } from '../base/abort.ts'
import type { Clock } from '../base/clock.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { DrillCheck } from '../repository/drills.ts'
import { type Check, runCheck } from './check.ts'
import { btreeCheck } from './checks/btrees.ts'
import { catalogueCheck, collationCheck, connectCheck } from './checks/databases.ts'
import { leftOutCheck } from './checks/left-out.ts'
import { readingCheck } from './checks/reading.ts'
import { sequenceCheck } from './checks/sequences.ts'
import { tableCheck } from './checks/tables.ts'
import { targetCheck } from './checks/target.ts'
import type { ProofSubject } from './proof-subject.ts'
import type { SandboxAccess } from './sandbox-access.ts'

const quick: readonly Check<ProofSubject>[] = [
  targetCheck,
  connectCheck,
  catalogueCheck,
  collationCheck,
  tableCheck,
  sequenceCheck,
  btreeCheck,
  leftOutCheck,
]

export interface ProveOptions extends Omit<ProofSubject, 'databases' | 'inEach'> {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onProgress: ProgressListener
}

/** The checks after which a recovered server would be handed to its users. */
export async function prove(options: ProveOptions): Promise<DrillCheck[]> {
  return runAll(quick, options)
}

/** Everything is read, which takes as long as there is much of it. */
export async function proveDeeply(options: ProveOptions): Promise<DrillCheck[]> {
  return runAll([readingCheck], options)
}

async function runAll(checks: readonly Check<ProofSubject>[], options: ProveOptions): Promise<DrillCheck[]> {
  const { access, signal, onProgress } = options
  const databases = await listDatabases(access)
  const subject: ProofSubject = {
    ...options,
    databases,
    inEach: async (look) => {
      const seen = []
      for (const database of databases) {
        throwIfAborted(signal)
        await using sql = await access.open(database)
        seen.push(await look(sql, database))
      }
      return seen
    },
  }
  const results: DrillCheck[] = []
  for (const [done, check] of checks.entries()) {
    onProgress({ phase: 'prove', done, total: checks.length, unit: 'steps', message: check.title })
    results.push(await runCheck(check, subject, options))
    throwIfAborted(signal)
  }
  return results
}

async function listDatabases(access: SandboxAccess): Promise<string[]> {
  await using sql = await access.open(access.database)
  const rows = await sql.query<{ name: string }>(
    'select datname as name from pg_database where datallowconn order by datname',
  )
  return rows.map(({ name }) => name)
}
