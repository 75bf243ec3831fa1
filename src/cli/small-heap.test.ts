import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

interface Collections {
  readonly minor: number
  readonly major: number
}

/**
 * Makes objects of which the newest 100,000 are in use, as they are of files in flight; says how often V8 collected. How large the
 * heap became meanwhile depends on how fast its threads may run beside everything else, so that is for the soak to measure.
 */
function collectionsOf(prepare: string): Collections {
  const script = `
    ${prepare}
    import { constants, PerformanceObserver } from 'node:perf_hooks'
    const count = { minor: 0, major: 0 }
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) count.minor++
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count.major++
      }
    }).observe({ entryTypes: ['gc'] })
    const inUse = []
    for (let number = 0; number < 1_000_000; number++) {
      inUse[number % 100_000] = { number, path: 'base/5/' + number, runs: [number] }
    }
    setTimeout(() => console.log(JSON.stringify(count)), 50)`
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }))
}

test('V8 collects long before it would by itself, until it is let', () => {
  const module = new URL('./small-heap.ts', import.meta.url).href
  const free = collectionsOf('')
  const small = collectionsOf(`import { keepHeapSmall } from '${module}'; keepHeapSmall()`)
  const again = collectionsOf(`import { keepHeapSmall, letHeapGrow } from '${module}'; keepHeapSmall(); letHeapGrow()`)
  const found = `${JSON.stringify(small)}, ${JSON.stringify(again)} when let grow again, and ${JSON.stringify(free)} without`
  assert.ok(small.minor > 3 * free.minor, found)
  assert.ok(small.major > free.major, found)
  assert.ok(again.minor < 2 * free.minor, found)
})
