/** A data directory that differs from a backup in a few pages, and what a delta restore makes of it. */
import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { applyRestore } from '../../src/recovery/apply.ts'
import { type PlanRestoreOptions, planRestore } from '../../src/recovery/plan.ts'
import { LOG_NAME, MARKER, SPOOL } from '../../src/recovery/target-directory.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { compareTrees } from './file-tree.ts'
import { type Protection, protect } from './lab.ts'
import type { TestServer } from './postgres.ts'
import { makeTemp } from './temp.ts'

export interface DeltaStage extends AsyncDisposable {
  readonly lab: Protection
  /** Restores in place into a directory of which pages were overwritten, from this view of the repository. */
  restoreInto(
    name: string,
    options: { readonly cluster: ClusterRepository; readonly workers: number },
  ): Promise<DeltaFiles>
}

type DeltaFiles = Awaited<ReturnType<typeof applyRestore>>['files']

const PAGE_BYTES = 8192
const FRAME_BYTES = 1024 * 1024

/** A backed-up server, and a fresh restore to compare with. */
export async function openDeltaStage(
  server: TestServer,
  options: Parameters<typeof protect>[1] = {},
): Promise<DeltaStage> {
  const lab = await protect(server, options)
  const temp = makeTemp({ owner: serverAccount() })
  await server.query(
    'create table item as select n as id, repeat(md5(n::text), 20) as body from generate_series(1, 10000) n',
  )
  await server.query('vacuum (freeze)')
  const [row] = await server.query<{ path: string }>("select pg_relation_filepath('item') as path")
  const table = row?.path ?? ''
  await lab.backUp()
  await lab.catchUp()
  const fresh = temp.join('fresh')
  await applyRestore({ cluster: lab.cluster, plan: await plan(lab.cluster, fresh), workers: 0 })
  return {
    lab,
    async restoreInto(name, { cluster, workers }) {
      const directory = temp.join(name)
      await applyRestore({ cluster: lab.cluster, plan: await plan(lab.cluster, directory), workers: 0 })
      overwrite(join(directory, table))
      const made = await plan(cluster, directory, { delta: { keepNothing: true } })
      const { files } = await applyRestore({ cluster, plan: made, confirm: name, workers })
      const own = (path: string) => path === MARKER || path === LOG_NAME || path.startsWith(SPOOL)
      assert.deepEqual(compareTrees(fresh, directory, own), [])
      return files
    },
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    },
  }
}

function plan(cluster: ClusterRepository, targetDirectory: string, more: Partial<PlanRestoreOptions> = {}) {
  const settings = { fsync: 'off' }
  return planRestore({ cluster, target: { kind: 'latest' }, targetDirectory, settings, start: false, ...more })
}

/** One page in each of its frames, so that every one has to be fetched. */
function overwrite(file: string): void {
  const descriptor = openSync(file, 'r+')
  for (let at = 0; at < fstatSync(descriptor).size; at += FRAME_BYTES) {
    writeSync(descriptor, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, at)
  }
  closeSync(descriptor)
}
