/** Receive WAL: here until everything is held; without `until`, for as long as the process lives. */
import { openRetake, receiveWal } from '../src/index.ts'
import { settings } from './settings.ts'

await using retake = await openRetake(await settings())
const run = receiveWal(retake, { until: { kind: 'caught-up' } })
const { timeline, flushLsn } = await run.result
console.log(`held up to ${flushLsn} on timeline ${timeline}`)
