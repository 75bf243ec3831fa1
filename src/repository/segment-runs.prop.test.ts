import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SegmentRunBuilder } from './segment-runs.ts'
import { SegmentSet } from './segment-set.ts'
import { inventorySegments, type ListedSegment, listSegments } from './testing/segments.ts'
import { parseWalKey, segmentName } from './wal-layout.ts'

// Around the places where more than the last digits of a key change.
const number = fc
  .tuple(fc.constantFrom(0n, 0xfn, 0xfff0n, 0xffffn, 0x1fff8n, 0xfffffff8n, 2n ** 43n), fc.bigInt(0n, 20n))
  .map(([around, more]) => around + more)
const stretch = fc
  .record({ timeline: fc.integer({ min: 1, max: 3 }), first: number, length: fc.bigInt(0n, 40n) })
  .map(({ timeline, first, length }) => ({ timeline, first, last: first + length }))

test('property: runs tell exactly the segments that were listed, with their sizes', () => {
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 5 }), (stretches) => {
      const set = new SegmentSet(stretches)
      const listed: ListedSegment[] = []
      for (const timeline of [1, 2, 3])
        for (const { first, last } of set.stretches(timeline))
          for (let segment = first; segment <= last; segment += 1n)
            listed.push({ timeline, segment, partial: false, storedBytes: listed.length })
      const { runs } = inventorySegments('main', listed)
      assert.deepEqual(listSegments({ runs, partials: [] }), listed)
      assert.deepEqual(
        runs.map(({ timeline, first, last }) => ({ timeline, first, last })),
        [1, 2, 3].flatMap((timeline) => set.stretches(timeline)),
      )
    }),
  )
})

test('property: only the key of the very next segment goes on, whatever else is listed', () => {
  const key = (segment: bigint) => segmentName('main', { timeline: 1, segment, partial: false }).key
  const other = fc.constantFrom(
    (one: string) => `${one}.partial`,
    (one: string) => one.toLowerCase(),
    (one: string) => `${one.slice(0, -1)}G`,
    (one: string) => `${one.slice(0, -1)}/`,
    (one: string) => one.replace('00000001/', '00000002/'),
    (one: string) => one.replace('/main/', '/mair/'),
    (one: string) => one.slice(0, -1),
  )
  fc.assert(
    fc.property(number, number, other, (last, candidate, disguise) => {
      const builder = new SegmentRunBuilder()
      builder.add(key(last), { timeline: 1, segment: last, storedBytes: 1 })
      const disguised = disguise(key(last + 1n))
      // Digits alone look the same in either case.
      if (disguised !== key(last + 1n)) assert.equal(builder.addNext(disguised, 1), false)
      const taken = builder.addNext(key(candidate), 2)
      if (taken) assert.equal(candidate, last + 1n)
      assert.deepEqual(builder.runs()[0]?.storedBytes, taken ? [1, 2] : [1])
      const parsed = parseWalKey('main', key(candidate))
      assert.ok(parsed?.type === 'segment' && parsed.segment === candidate)
    }),
  )
})

test('property: a set answers as a set of single segments would', () => {
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 6 }), stretch, (stretches, asked) => {
      const set = new SegmentSet(stretches)
      const holds = (segment: bigint) =>
        stretches.some((one) => one.timeline === asked.timeline && one.first <= segment && segment <= one.last)
      const numbers = Array.from({ length: Number(asked.last - asked.first) + 1 }, (_, i) => asked.first + BigInt(i))
      for (const segment of numbers) assert.equal(set.has(asked.timeline, segment), holds(segment))
      const expand = (parts: Iterable<{ readonly first: bigint; readonly last: bigint }>) =>
        [...parts].flatMap(({ first, last }) => numbers.filter((segment) => first <= segment && segment <= last))
      assert.deepEqual(expand(set.within(asked)), numbers.filter(holds))
      assert.deepEqual(
        expand(set.outside(asked)),
        numbers.filter((segment) => !holds(segment)),
      )
      const own = set.stretches(asked.timeline)
      for (const [index, { first }] of own.entries())
        assert.ok(index === 0 || (own[index - 1]?.last ?? 0n) + 1n < first)
    }),
  )
})
