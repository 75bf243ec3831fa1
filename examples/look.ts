/** What is there: backups, the moments that can be restored, what endangers recovery, and how well all is protected. */
import { diagnose, listBackups, openRetake, readHealth, readStatus, readWindow } from '../src/index.ts'
import { settings } from './settings.ts'

const options = await settings()
await using retake = await openRetake(options)
const { backups } = await listBackups(retake)
for (const { backupId, stoppedAt } of backups) console.log(`backup ${backupId} of ${stoppedAt}`)

const { windows } = await readWindow(retake)
for (const { from, to } of windows) console.log(`restorable from ${from.at} to ${to.at}`)

const { verdict, rpo, reasons } = await readStatus(retake)
console.log(`${verdict}; ${rpo.explanation}`)
for (const { severity, message, fix } of reasons) console.log(`${severity}: ${message} Fix: ${fix}`)

const { checks } = await diagnose(options)
for (const { state, title, fix } of checks) if (state === 'failed') console.log(`failed: ${title}. Fix: ${fix}`)

const { score, recommendations } = await readHealth(options)
console.log(`health ${score.value ?? 'unknown'}, ${score.band}`)
for (const { reason, fix } of recommendations.slice(0, 3)) console.log(`${reason} Fix: ${fix}`)
