import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ratesOfDrills } from './measured-rates.ts'
import { DEFAULT_RATES, predictRestore } from './predict.ts'

const drill = (bytes: number, walBytes: number, filesMs: number, recoveryMs: number) => ({
  size: { files: 100, bytes, walBytes },
  phases: [
    { name: 'check', durationMs: 10 },
    { name: 'files', durationMs: filesMs },
    { name: 'recovery', durationMs: recoveryMs },
  ],
})

test('without drills, or with drills of little, the rates are assumed, and said to be', () => {
  assert.deepEqual(ratesOfDrills([]), { rates: DEFAULT_RATES, drills: 0 })
  assert.deepEqual(ratesOfDrills([drill(1e6, 1e6, 500, 2000)]), { rates: DEFAULT_RATES, drills: 0 })
  const { formula, totalMs } = predictRestore({ writtenBytes: 250e6, walBytes: 100e6 }, ratesOfDrills([]))
  assert.equal(totalMs, 1000 + 1000 + 1500)
  assert.match(formula, /assumed rates; `retake drill run` measures this cluster's$/)
})

test('drills say how fast files are written and WAL is replayed, each where it had enough to do', () => {
  const one = drill(1e9, 2e8, 2000, 1500 + 4000)
  const other = drill(3e9, 1e6, 6000, 1600)
  const measured = ratesOfDrills([one, other])
  assert.equal(measured.drills, 2)
  assert.equal(measured.rates.restoreBytesPerSecond, 5e8)
  assert.equal(measured.rates.replayBytesPerSecond, 5e7)
  const { fetchMs, replayMs, formula } = predictRestore({ writtenBytes: 1e9, walBytes: 1e8 }, measured)
  assert.deepEqual([fetchMs, replayMs], [2000, 2000])
  assert.match(formula, /at 500 MB\/s .* at 50 MB\/s .*, as the last 2 drills measured$/)
  assert.equal(ratesOfDrills([{ size: undefined, phases: one.phases }]).drills, 0)
})
