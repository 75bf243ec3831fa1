/** Watch a backup while it runs, and stop it when it takes too long. */
import { backUp, isRetakeError, openRetake } from '../src/index.ts'
import { settings } from './settings.ts'

await using retake = await openRetake(await settings())
const run = backUp(retake, { signal: AbortSignal.timeout(3_600_000) })
try {
  for await (const { phase, done, total, unit } of run.progress) {
    console.log(total ? `${phase}: ${Math.floor((done * 100) / total)} %` : `${phase}: ${done} ${unit}`)
  }
  const { backup } = await run.result
  console.log(`stored ${backup.storedBytes} of ${backup.totalBytes} bytes`)
} catch (error) {
  if (!isRetakeError(error, 'aborted')) throw error
  console.log('stopped; nothing half-written is visible')
}
