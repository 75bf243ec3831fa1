/** Read everything back, and say what damage costs. */
import { openRetake, verify } from '../src/index.ts'
import { settings } from './settings.ts'

await using retake = await openRetake(await settings())
const { ok, findings, lostBackups } = await verify(retake, { deep: true }).result
for (const { severity, object, problem } of findings) console.log(`${severity}: ${object}: ${problem}`)
console.log(ok ? 'everything is as it was written' : `lost backups: ${lostBackups.join(', ') || 'none'}`)
