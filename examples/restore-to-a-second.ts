/**
 * Restore to a moment into a new directory; the plan is shown before it is carried out.
 *
 *   node examples/restore-to-a-second.ts 2026-11-22T09:04:11.482Z /srv/restored 5433
 */
import { applyRestore, openRetake, planRestore } from '../src/index.ts'
import { settings } from './settings.ts'

const [at = 'latest', to = './restored', port] = process.argv.slice(2)
await using retake = await openRetake(await settings())
const plan = await planRestore(retake, { at, to, port: port ? Number(port) : undefined, action: 'shutdown' })
console.log(`from ${plan.backup.backupId} with WAL up to ${plan.wal.endLsn}, about ${plan.predicted.totalMs} ms`)
for (const { status, name, detail } of plan.preflight) console.log(`${status}: ${name}: ${detail}`)

const run = applyRestore(retake, plan)
for await (const { phase } of run.progress) console.log(phase)
console.log(JSON.stringify(await run.result))
