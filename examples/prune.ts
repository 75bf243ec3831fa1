/** Say what a policy would give up, hold what must stay whatever it says, and carry it out. */
import { holdBackup, listBackups, openRetake, prune } from '../src/index.ts'
import { settings } from './settings.ts'

await using retake = await openRetake(await settings())
const { backups } = await listBackups(retake)
const [oldest] = backups
if (oldest) await holdBackup(retake, { backupId: oldest.backupId, reason: 'before the upgrade' })
const policy = { days: 30, monthly: 12 }
const { plan } = await prune(retake, { policy, dryRun: true }).result
for (const { backupId, action, why } of plan.backups) console.log(`${action} ${backupId}: ${why}`)
const { givenUp, pending } = await prune(retake, { policy }).result
console.log(`gave up ${givenUp.backups.length} backups; ${pending.length} records wait for their time of grace`)
