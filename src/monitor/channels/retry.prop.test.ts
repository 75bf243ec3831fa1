import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { DeliveryFailure } from './failure.ts'
import { decideRetry, type FailedAttempt, RETRY_POLICY } from './retry.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
const passing: DeliveryFailure = { code: 'notice.failed', message: 'x', mayRetry: true }
const failed = (facts: Partial<FailedAttempt> = {}): FailedAttempt => ({
  failure: passing,
  attempt: 1,
  severity: 'warning',
  firstTriedAt: NOW,
  now: NOW,
  random: 0.5,
  ...facts,
})

const severity = fc.constantFrom('critical' as const, 'warning' as const, 'info' as const)
const random = fc.double({ min: 0, max: 1, noNaN: true })

describe('a delivery that failed', () => {
  test('is tried again after 5 s, 15 s, 45 s and so on, at most 15 minutes apart', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 200].map(
      (attempt) => ((decideRetry(failed({ attempt })).retryAt?.getTime() ?? 0) - NOW.getTime()) / 1000,
    )
    assert.deepEqual(waits, [5, 15, 45, 135, 405, 900, 900, 900])
  })

  test('is never tried before the other side wants it, nor after it is too old, whatever chance says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.option(fc.integer({ min: 0, max: 48 * 3_600_000 }), { nil: undefined }),
        fc.integer({ min: 0, max: 30 * 3_600_000 }),
        severity,
        random,
        (attempt, retryAfterMs, ageMs, how, chance) => {
          const firstTriedAt = new Date(NOW.getTime() - ageMs)
          const decision = decideRetry(
            failed({ attempt, severity: how, random: chance, firstTriedAt, failure: { ...passing, retryAfterMs } }),
          )
          const { retryAt } = decision
          if (retryAt === undefined) {
            assert.equal(decision.tellAnother, true, 'what is given up is told through another channel')
            return
          }
          const waitMs = retryAt.getTime() - NOW.getTime()
          assert(waitMs >= (retryAfterMs ?? 0))
          assert(waitMs >= RETRY_POLICY.firstDelayMs * 0.9)
          assert(retryAt.getTime() - firstTriedAt.getTime() <= RETRY_POLICY.giveUpAfterMs)
        },
      ),
    )
  })

  test('ends: a service that stays away is given up after a day, and told of once at the end', () => {
    fc.assert(
      fc.property(severity, random, (how, chance) => {
        let now = NOW
        let told = 0
        let attempt = 1
        for (; attempt < 1000; attempt += 1) {
          const { retryAt, tellAnother } = decideRetry(failed({ attempt, now, severity: how, random: chance }))
          if (tellAnother) told += 1
          if (retryAt === undefined) break
          assert(retryAt > now)
          now = retryAt
        }
        assert(attempt < 200, `${attempt} attempts`)
        assert.equal(told, how === 'critical' ? 2 : 1)
        assert(now.getTime() - NOW.getTime() > 23.5 * 3_600_000)
      }),
      { numRuns: 30 },
    )
  })

  test('is told through another channel at once when it is critical, or when it will never arrive', () => {
    assert.equal(decideRetry(failed({ severity: 'critical' })).tellAnother, true)
    assert.equal(decideRetry(failed({ severity: 'critical', attempt: 2 })).tellAnother, false)
    assert.equal(decideRetry(failed({ severity: 'warning' })).tellAnother, false)
    const never = decideRetry(
      failed({ severity: 'info', failure: { ...passing, code: 'notice.denied', mayRetry: false } }),
    )
    assert.deepEqual([never.retryAt, never.tellAnother], [undefined, true])
  })
})
