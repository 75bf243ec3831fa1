import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

/** Makes objects of which the newest 100,000 are in use, as they are of files in flight; says how large the heap became, in MiB. */
function heapOf(prepare: string): number {
  const script = `
    ${prepare}
    import { getHeapStatistics } from 'node:v8'
    const inUse = []
    let most = 0
    for (let number = 0; number < 1_000_000; number++) {
      inUse[number % 100_000] = { number, path: 'base/5/' + number, runs: [number] }
      if (number % 10_000 === 0) most = Math.max(most, getHeapStatistics().total_heap_size)
    }
    console.log(most / 2 ** 20)`
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }))
}

test('the heap stays near what is in use', () => {
  const module = new URL('./small-heap.ts', import.meta.url).href
  const free = heapOf('')
  const small = heapOf(`import { keepHeapSmall } from '${module}'; keepHeapSmall()`)
  assert.ok(small < free / 2, `${small.toFixed(0)} MiB, and ${free.toFixed(0)} without`)
})
