import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RetakeError } from '../base/errors.ts'
import { chooseTarget, isMistaken, RANDOM_TARGET, type Windows } from './choose-target.ts'

const now = new Date('2026-11-23T12:00:00Z')
const at = (ms: number) => new Date(now.getTime() + ms).toISOString()
const stretch = (timeline: number, fromMs: number | undefined, toMs: number | undefined): Windows[number] => ({
  timeline,
  from: { lsn: '0/1', ...(fromMs === undefined ? {} : { at: at(fromMs) }) },
  to: { lsn: '0/2', ...(toMs === undefined ? {} : { at: at(toMs) }) },
})

const windows = fc.array(
  fc.record({ gap: fc.integer({ min: 0, max: 1000 }), length: fc.integer({ min: 0, max: 100_000 }) }),
  { maxLength: 5 },
)

test('a moment at random lies inside of one stretch, and says on which branch', () => {
  fc.assert(
    fc.property(windows, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (lengths, random) => {
      let endMs = -1e9
      const list = lengths.map(({ gap, length }, index) => {
        const beginMs = endMs + gap
        endMs = beginMs + length
        return stretch(index + 1, beginMs, endMs)
      })
      const target = chooseTarget(RANDOM_TARGET, { windows: list, now, random })
      const wide = list.filter(({ from, to }) => Date.parse(to.at ?? '') - Date.parse(from.at ?? '') > 1)
      if (wide.length === 0) {
        assert.deepEqual([target.chosen, target.asked, target.at], ['latest', 'latest', now.toISOString()])
        return
      }
      assert.equal(target.chosen, 'random')
      const inside = list.find(({ timeline }) => timeline === target.timeline)
      assert.ok(inside?.from.at && inside.to.at && target.at)
      assert.ok(
        inside.from.at < target.at && target.at < inside.to.at,
        `${inside.from.at} ${target.at} ${inside.to.at}`,
      )
      assert.equal(Date.parse(target.asked), Date.parse(target.at))
    }),
    { verbose: true },
  )
})

test('each second is as likely as any other: the longer stretch is drawn more often', () => {
  const list = [
    stretch(1, -100_000, -90_000),
    stretch(2, -80_000, -50_000),
    stretch(3, undefined, -1),
    stretch(4, -5, undefined),
  ]
  const drawn = Array.from({ length: 400 }, (_, index) =>
    chooseTarget(RANDOM_TARGET, { windows: list, now, random: index / 400 }),
  )
  const count = (timeline: number) => drawn.filter((one) => one.timeline === timeline).length
  assert.deepEqual([count(1), count(2), count(3), count(4)], [100, 300, 0, 0])
  assert.match(drawn[0]?.why ?? '', /2 stretches/)
})

test('what is asked for is taken as it is; only then a target outside is a mistake', () => {
  const choose = (wanted: string) => chooseTarget(wanted, { windows: [], now, random: 0 })
  assert.deepEqual(choose('lsn:0/3000060'), {
    asked: 'lsn:0/3000060',
    chosen: 'asked',
    why: 'This target was asked for.',
  })
  assert.equal(choose('2026-11-20T10:00:00+02:00').at, '2026-11-20T08:00:00.000Z')
  assert.deepEqual([choose('latest').chosen, choose('LATEST').at], ['latest', now.toISOString()])
  assert.throws(() => choose('yesterday'), { code: 'target.invalid' })
  const outside = new RetakeError('target.outside', 'Too early.')
  assert.deepEqual([isMistaken(outside, choose('xid:812')), isMistaken(outside, choose(RANDOM_TARGET))], [true, false])
  assert.equal(isMistaken(new RetakeError('wal.gap', 'A gap.'), choose('xid:812')), false)
})
