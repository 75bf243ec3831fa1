/** A process of its own that backs up or receives, to be killed at any moment. Arguments: `backup` or `receive`, and a {@link ChildTask} as JSON. */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { sleep } from '../../../base/abort.ts'
import { assert } from '../../../base/errors.ts'
import type { KeyMaterial } from '../../../repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../../../repository/keys/key-text.ts'
import { openRepository } from '../../../repository/repository.ts'
import { backUp } from '../backup.ts'
import { type ReceiveWalOptions, receiveWal } from '../receiver.ts'
import { bucketLike } from './bucket-like.ts'

export interface ChildTask {
  readonly url: string
  /** A key made for the test, as text. */
  readonly key: string
  readonly cluster: string
  readonly slot: string
  readonly port: number
  /** Acknowledge from this spool; a repository in a directory then behaves as a slow bucket. */
  readonly spool?: string | undefined
}

export function keyText(repository: { readonly key: KeyMaterial }): string {
  assert(repository.key.kind === 'key', 'tests make keys, not passphrases')
  return formatKeyText(repository.key.bytes)
}

export function spawnChild(mode: 'backup' | 'receive', task: ChildTask): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(import.meta.url), mode, JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function work(mode: string, task: ChildTask): Promise<void> {
  await using repository = await openRepository(task.url, parseKeyText(task.key))
  const cluster = await repository.openCluster(task.cluster)
  const config = { host: '127.0.0.1', port: task.port, user: 'postgres', database: 'postgres' }
  const target = { config, display: `postgres://postgres@127.0.0.1:${task.port}/postgres` }
  if (mode === 'backup') await backUp({ cluster, target, workers: 1 })
  else await receive({ cluster, target }, task)
}

/** So slow that most of what is acknowledged is not uploaded yet. */
const UPLOAD_MS = 250

async function receive(
  { cluster, target }: Pick<ReceiveWalOptions, 'cluster' | 'target'>,
  { slot, spool }: ChildTask,
): Promise<void> {
  const isSlow = spool !== undefined && cluster.store.openAppender !== undefined
  const store = isSlow ? bucketLike(cluster.store, () => sleep(UPLOAD_MS)) : cluster.store
  const facts = { slot, spoolDirectory: spool, thread: !isSlow, retryDelayMs: () => 20 }
  await receiveWal({ cluster: { ...cluster, store }, target, ...facts })
}

const [, script, mode, task] = process.argv
if (script === fileURLToPath(import.meta.url) && mode !== undefined && task !== undefined) {
  await work(mode, JSON.parse(task) as ChildTask)
}
