import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ChannelState, failureNow } from '../channels/channel-state.ts'
import { alertPathOf } from './alert-path.ts'

const NOW = new Date('2026-11-23T12:00:00.000Z')
const before = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000)
const failure = { code: 'notice.denied', message: 'It was not accepted.', mayRetry: false } as const

const channel = (facts: Partial<ChannelState> = {}): ChannelState => ({ name: 'mail', ...facts })
const proven = (name: string, minutes: number) =>
  channel({ name, provenAt: before(minutes), deliveredAt: before(minutes) })

describe('a channel fails', () => {
  const cases: readonly (readonly [string, Partial<ChannelState>, boolean])[] = [
    ['nothing was ever sent', {}, false],
    ['a notice was given up', { givenUp: { at: before(1), failure } }, true],
    [
      'a notice was given up, and a later one was delivered',
      { givenUp: { at: before(2), failure }, deliveredAt: before(1) },
      false,
    ],
    [
      'a notice was given up after the last delivery',
      { givenUp: { at: before(1), failure }, deliveredAt: before(2) },
      true,
    ],
    ['a notice waits for a while', { waiting: { since: before(14), failure } }, false],
    ['a notice waits for long', { waiting: { since: before(16), failure } }, true],
    [
      'a notice waits for long while others arrive',
      { waiting: { since: before(16), failure }, deliveredAt: before(3) },
      false,
    ],
    [
      'a notice waits for long, and the last delivery was before',
      { waiting: { since: before(16), failure }, deliveredAt: before(17) },
      true,
    ],
  ]
  for (const [what, facts, fails] of cases) {
    test(`${fails ? 'when' : 'not when'} ${what}`, () =>
      assert.equal(failureNow(channel(facts), NOW) !== undefined, fails))
  }
})

describe('the alert path', () => {
  test('is as old as the oldest proof of those who are told first', () => {
    assert.deepEqual(alertPathOf([proven('mail', 10), proven('chat', 90), proven('phone', 5)], NOW), {
      provenAt: before(90).toISOString(),
    })
  })

  const problems: readonly (readonly [string, readonly ChannelState[], RegExp, RegExp])[] = [
    ['there is no channel', [], /No channel is configured/, /^retake alerts canary/],
    ['one was never asked', [proven('chat', 1), channel()], /through "mail"\.$/, /^retake alerts canary mail/],
    [
      'nobody has confirmed what was delivered',
      [channel({ canary: { notice: 'n', at: before(5), state: 'delivered' } })],
      /was delivered/,
      /^retake alerts confirm CODE/,
    ],
    [
      'the canary did not arrive',
      [channel({ canary: { notice: 'n', at: before(5), state: 'failed', failure } })],
      /It was not accepted/,
      /^retake alerts test mail/,
    ],
    [
      'it was proven, and fails since',
      [channel({ provenAt: before(60), deliveredAt: before(60), givenUp: { at: before(2), failure } })],
      /do not arrive through "mail" since/,
      /^retake alerts test mail/,
    ],
  ]
  for (const [what, states, reason, fix] of problems) {
    test(`is not proven when ${what}`, () => {
      const { problem, provenAt } = alertPathOf(states, NOW)
      assert.equal(provenAt, undefined)
      assert.match(problem?.reason ?? '', reason)
      assert.match(problem?.fix ?? '', fix)
    })
  }
})
