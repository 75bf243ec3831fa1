import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import { formatLsn } from './lsn.ts'
import { parseTimelineHistory, timelineAt, timelineRanges } from './timeline.ts'

const history = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { maxLength: 8 }),
    fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 8, maxLength: 8 }),
    fc.array(fc.stringMatching(/^[a-z0-9 ]{0,20}[a-z]$/), { minLength: 8, maxLength: 8 }),
  )
  .map(([timelines, positions, reasons]) => {
    const lsns = positions.sort((left, right) => (left < right ? -1 : left > right ? 1 : 0))
    const entries = timelines
      .sort((left, right) => left - right)
      .map((timeline, index) => ({ timeline, switchLsn: lsns[index]!, reason: reasons[index]!.trim() }))
    return { timeline: (timelines.at(-1) ?? 0) + 1, entries }
  })

function write({ entries }: { entries: readonly { timeline: number; switchLsn: bigint; reason: string }[] }): string {
  return entries.map((entry) => `${entry.timeline}\t${formatLsn(entry.switchLsn)}\t${entry.reason}\n`).join('')
}

describe('parseTimelineHistory', () => {
  test('reads back what was written, with comments and empty lines in between', () => {
    fc.assert(
      fc.property(history, fc.nat(10), (written, place) => {
        const lines = write(written).split('\n')
        lines.splice(place % (lines.length + 1), 0, '', '# a comment', '   ')
        assert.deepEqual(parseTimelineHistory(written.timeline, lines.join('\n')), written)
      }),
    )
  })

  test('each position belongs to one timeline: the one whose range holds it', () => {
    fc.assert(
      fc.property(history, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (written, position) => {
        const parsed = parseTimelineHistory(written.timeline, write(written))
        const candidates = [position, ...written.entries.flatMap(({ switchLsn }) => [switchLsn - 1n, switchLsn])]
        for (const lsn of candidates.filter((candidate) => candidate >= 0n)) {
          const holders = timelineRanges(parsed).filter(
            ({ beginLsn, endLsn }) => beginLsn <= lsn && (endLsn === undefined || lsn < endLsn),
          )
          assert.deepEqual(
            holders.map(({ timeline }) => timeline),
            [timelineAt(parsed, lsn)],
          )
        }
      }),
    )
  })

  test('reads what the server writes', () => {
    const content = '1\t0/3000158\tno recovery target specified\n\n2\t0/5000060\tbefore 2026-11-22 09:04:11.482+00\n'
    assert.deepEqual(parseTimelineHistory(3, content).entries, [
      { timeline: 1, switchLsn: 0x3000158n, reason: 'no recovery target specified' },
      { timeline: 2, switchLsn: 0x5000060n, reason: 'before 2026-11-22 09:04:11.482+00' },
    ])
    assert.deepEqual(parseTimelineHistory(1, ''), { timeline: 1, entries: [] })
  })

  test('refuses what the server would refuse, and a way that goes back', () => {
    const wrong = [
      ['2\t0/1\tx\n1\t0/2\ty\n', /does not ascend/],
      ['3\t0/1\tx\n', /not older/],
      ['1\t0/5\tx\n2\t0/4\ty\n', /before the line above/],
      ['1 at 0/5', /switch point/],
      ['1\t0/123456789\tx', /switch point/],
    ] as const
    for (const [content, message] of wrong) {
      assert.throws(
        () => parseTimelineHistory(3, content),
        (error) => isRetakeError(error, 'wal.damaged') && message.test(error.message),
        content,
      )
    }
  })
})
