/**
 * Importing this file makes a test file fail when it leaves a process behind. Linux only, where /proc tells; elsewhere it does nothing.
 * Children are known by a mark in the environment they inherit, so one that was detached or orphaned is found as well.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { after } from 'node:test'
import { randomId } from '../../src/base/ids.ts'

const MARK = 'RETAKE_TEST_MARK'
const mark = `${MARK}=${randomId(8)}`
process.env[MARK] = mark.slice(MARK.length + 1)

/** The command lines of living processes that this one started, directly or not. */
export function startedProcesses(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)) return []
        // A zombie has ended; it waits for its parent to look at it.
        if (/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return []
        return [`${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()}`]
      } catch {
        // It ended meanwhile, or belongs to somebody else.
        return []
      }
    })
}

/** Waits for what is just ending; what is left after `graceMs` is a leak. */
export async function assertNoProcessesLeft(graceMs = 5_000): Promise<void> {
  const deadline = performance.now() + graceMs
  let left = startedProcesses()
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    left = startedProcesses()
  }
  if (left.length > 0) throw new Error(`the tests of this file left processes behind:\n${left.join('\n')}`)
}

after(() => assertNoProcessesLeft())
