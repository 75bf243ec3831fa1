import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAlertPolicy } from '../alerts/read-policy.ts'
import { lastDueOf } from './plan.ts'

const channels = ['mail', 'chat', 'pager']
const regularOf = (value: object, names: readonly string[] = channels) =>
  readAlertPolicy(value, { channels: names, clusters: [] }).regular

test('without a word about it: a digest each morning to the first level, a canary each week to all; nothing without channels', () => {
  const { digest, canary } = regularOf({
    levels: [{ channels: ['mail'] }, { channels: ['pager'] }],
    everybody: ['chat'],
  })
  assert.deepEqual([digest?.cron.text, digest?.zone, digest?.channels], ['0 8 * * *', 'UTC', ['mail']])
  assert.deepEqual(
    [canary?.cron.text, canary?.zone, canary?.channels],
    ['0 9 * * mon', 'UTC', ['mail', 'pager', 'chat']],
  )
  assert.deepEqual(regularOf({}, []), { digest: undefined, canary: undefined })
})

test('what the file says counts, and what would reach nobody is refused', () => {
  const { digest, canary } = regularOf({
    digest: { at: '06:05', zone: 'Europe/Berlin', channels: ['chat'] },
    canary: { enabled: false },
  })
  assert.deepEqual([digest?.cron.text, digest?.zone, digest?.channels], ['5 6 * * *', 'Europe/Berlin', ['chat']])
  assert.equal(canary, undefined)
  for (const [wrong, message] of [
    [{ digest: { channels: ['nobody'] } }, /alerts\.digest: there is no channel "nobody"/],
    [{ digest: { at: '24:00' } }, /alerts\.digest\.at: a time of the day/],
    [{ digest: { zone: 'Mars' } }, /alerts\.digest\.zone: a zone is/],
    [{ canary: { cron: '0 9 * *' } }, /alerts\.canary\.cron: it needs five fields/],
  ] as const) {
    assert.throws(() => regularOf(wrong), { code: 'config.invalid', message })
  }
})

test('eight in the morning is eight in the morning of its zone, in summer and in winter', () => {
  const { digest } = regularOf({ digest: { zone: 'Europe/Berlin' } })
  assert.ok(digest)
  const due = (now: string) => lastDueOf(digest, new Date(now))?.toISOString()
  assert.equal(due('2026-10-24T12:00:00Z'), '2026-10-24T06:00:00.000Z')
  assert.equal(due('2026-10-25T06:59:59Z'), '2026-10-24T06:00:00.000Z')
  assert.equal(due('2026-10-25T07:00:00Z'), '2026-10-25T07:00:00.000Z')
})
