/**
 * Protect a server: a repository, the cluster and its slot, the first backup.
 *
 *   RETAKE_REPO=/var/lib/retake RETAKE_PASSPHRASE=… RETAKE_DATABASE_URL=postgres://… node examples/protect.ts
 */
import { backUp, initialise, openRetake } from '../src/index.ts'
import { settings } from './settings.ts'

const options = await settings()
const { cluster, slot } = await initialise(options)
console.log(`cluster ${cluster.name} is ${cluster.outcome}, its slot ${slot.name} is ${slot.outcome}`)

await using retake = await openRetake(options)
const { backup, wal } = await backUp(retake, { label: 'first' }).result
console.log(`backup ${backup.backupId} can be restored: WAL is held up to ${wal.flushLsn}`)
