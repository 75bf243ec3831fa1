import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Random } from '../../demo/cinetrack/random.ts'
import { MAX_REGION_FRAMES, MAX_REGION_RUNS, planRegion, type RegionPages } from './region-plan.ts'

const region = fc.integer({ min: 1, max: 128 }).chain((count) =>
  fc
    .record({
      sources: fc.array(fc.nat(40), { minLength: count, maxLength: count }),
      changed: fc.array(fc.nat(9), { minLength: count, maxLength: count }),
      rate: fc.nat(9),
      zero: fc.array(fc.nat(20), { minLength: count, maxLength: count }),
    })
    .map(({ sources, changed, rate, zero }): RegionPages => {
      const zeros = Uint8Array.from(zero, (value) => (value === 0 ? 1 : 0))
      // What the parent does not hold, and what is zeros, counts as changed.
      const isChanged = sources.map((source, page) =>
        source === 0 || zeros[page] || (changed[page] ?? 0) < rate ? 1 : 0,
      )
      return { sources: Uint8Array.from(sources), changed: Uint8Array.from(isChanged), zero: zeros }
    }),
)

/** The frames and pieces of the region once the plan is carried out; -1 is zeros, 1000 the new frame. */
function outcome({ sources, changed, zero }: RegionPages, store: Uint8Array) {
  const where = [...changed].map((_, page) => (zero[page] ? -1 : store[page] ? 1000 : (sources[page] ?? 0)))
  const frames = new Set(where.filter((source) => source >= 0))
  const runs = where.filter((source, page) => page === 0 || source !== where[page - 1]).length
  return { frames: frames.size, runs }
}

test('every changed page is stored, nothing is stored for zeros, and frames and pieces stay few', () => {
  fc.assert(
    fc.property(region, (pages) => {
      const plan = planRegion(pages)
      const { changed, zero, sources } = pages
      if (plan === 'whole') return
      const store = plan === 'refer' ? new Uint8Array(changed.length) : plan
      for (const [page, flag] of store.entries()) {
        if (zero[page]) assert.equal(flag, 0)
        else if (changed[page]) assert.equal(flag, 1, `page ${page} is stored`)
        else if (flag === 0) assert.notEqual(sources[page], 0, 'what is left to the parent is held by it')
      }
      const { frames, runs } = outcome(pages, store)
      assert.ok(frames <= MAX_REGION_FRAMES, `${frames} frames`)
      assert.ok(runs <= MAX_REGION_RUNS, `${runs} pieces`)
      if (plan === 'refer') assert.ok(!changed.some((one) => one === 1))
    }),
    { numRuns: 2000 },
  )
})

test('a region whose pages are all as the parent has them, in few frames, costs nothing', () => {
  const sources = Uint8Array.from({ length: 128 }, (_, page) => 1 + Math.floor(page / 60))
  assert.equal(planRegion({ sources, changed: new Uint8Array(128), zero: new Uint8Array(128) }), 'refer')
})

/** Increments in which the same share of random pages changes each time. */
function simulate(options: { readonly share: number; readonly increments: number; readonly seed: number }) {
  const random = new Random(options.seed)
  const regions = Array.from({ length: 12 }, () => new Array<number>(128).fill(1))
  let nextFrame = 2
  let changedPages = 0
  let storedPages = 0
  let mostFrames = 0
  let mostRead = 0
  for (let increment = 0; increment < options.increments; increment++) {
    const bundle = nextFrame++
    for (const [index, pages] of regions.entries()) {
      const numbers = new Map<number, number>()
      for (const frame of pages) numbers.set(frame, numbers.get(frame) ?? numbers.size + 1)
      const changed = Uint8Array.from(pages, () => (random.chance(options.share) ? 1 : 0))
      const sources = Uint8Array.from(pages, (frame) => numbers.get(frame) ?? 0)
      const plan = planRegion({ sources, changed, zero: new Uint8Array(128) })
      changedPages += changed.reduce((sum, one) => sum + one, 0)
      if (plan === 'whole') {
        const frame = nextFrame++
        storedPages += 128
        regions[index] = pages.map(() => frame)
      } else if (plan !== 'refer') {
        storedPages += plan.reduce((sum, one) => sum + one, 0)
        regions[index] = pages.map((frame, page) => (plan[page] ? bundle : frame))
      }
    }
    const frames = regions.map((pages) => new Set(pages).size)
    mostFrames = Math.max(mostFrames, ...frames)
    // Pages outside of the frame that holds most: what a restore reads beyond a full backup, if bundles are read once.
    const patched = regions.reduce((sum, pages) => {
      const counts = new Map<number, number>()
      for (const frame of pages) counts.set(frame, (counts.get(frame) ?? 0) + 1)
      return sum + 128 - Math.max(...counts.values())
    }, 0)
    mostRead = Math.max(mostRead, 1 + patched / (128 * regions.length))
  }
  return { stored: storedPages / Math.max(1, changedPages), mostFrames, mostRead }
}

test('after a hundred increments a region lies in few frames, and the price in stored bytes is bounded', () => {
  for (const share of [0.001, 0.01, 0.05, 0.3]) {
    const { stored, mostFrames, mostRead } = simulate({ share, increments: 100, seed: 7 })
    assert.ok(mostFrames <= MAX_REGION_FRAMES, `${share}: ${mostFrames} frames`)
    assert.ok(mostRead <= 1.4, `${share}: ${mostRead} times the pages`)
    assert.ok(stored <= 8, `${share}: ${stored} pages stored for each that changed`)
  }
})
