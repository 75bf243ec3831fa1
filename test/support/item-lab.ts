/** A protected server with a tablespace, a backup and a change after it: where most tests of restores begin. */
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { type PlanRestoreOptions, planRestore } from '../../src/recovery/plan.ts'
import type { RestorePlan } from '../../src/recovery/plan-types.ts'
import { parseTarget } from '../../src/recovery/targets.ts'
import { type DatabaseDigest, digestDatabase } from './digest.ts'
import { type Protection, protect } from './lab.ts'
import { startTestServer, type TestServer } from './postgres.ts'

export type PlanRequest = Partial<PlanRestoreOptions> & { readonly at?: string }

export interface ItemLab extends AsyncDisposable {
  readonly server: TestServer
  readonly lab: Protection
  /** What the server held when its WAL was last fetched. */
  readonly content: DatabaseDigest
  /** Of the tablespace. */
  readonly location: string
  plan(directory: string, request?: PlanRequest): Promise<RestorePlan>
}

export async function openItemLab(): Promise<ItemLab> {
  const server = await startTestServer()
  const lab = await protect(server)
  const location = join(server.directory, 'space')
  mkdirSync(location)
  const account = serverAccount()
  if (account) chownSync(location, account.uid, account.gid)
  await server.query(`create tablespace fast location '${location}'`)
  await server.query(`
    create table item (id bigint primary key, body text not null) tablespace fast;
    insert into item select n, repeat(md5(n::text), 20) from generate_series(1, 3000) n;
    create table plain as select * from item limit 100`)
  await lab.backUp()
  await server.query(`update item set body = 'changed' where id < 100`)
  const content = await digestDatabase(server)
  await lab.catchUp()
  return {
    ...{ server, lab, content, location },
    plan: (directory, { at = 'latest', ...options } = {}) =>
      planRestore({
        cluster: lab.cluster,
        target: parseTarget(at),
        targetDirectory: directory,
        settings: { fsync: 'off' },
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
