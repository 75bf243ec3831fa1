/** What channels make of the end of one alert while others of its incident are open, and of what is withdrawn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noticeOf } from '../../../test/support/notices/notices.ts'
import type { Notice } from '../alerts/notice.ts'
import { composeMessage } from './rendering/message.ts'
import { renderPagerDuty } from './rendering/pagerduty-event.ts'
import { planPosting } from './threading.ts'

const actionOf = (notice: Notice) => {
  const event = renderPagerDuty(notice)
  return event.kind === 'alert' ? event.body.event_action : event.kind
}

test('PagerDuty closes its incident when ours is over, and not with the first alert of several', () => {
  assert.equal(actionOf(noticeOf({ kind: 'resolved' })), 'resolve')
  assert.equal(actionOf(noticeOf({ kind: 'resolved', isOver: true })), 'resolve')
  assert.equal(actionOf(noticeOf({ kind: 'resolved', isOver: false })), 'change')
  // Nobody knows that it is over: a person closes it.
  assert.equal(actionOf(noticeOf({ kind: 'withdrawn', isOver: true })), 'change')
})

test('the first message of an incident says that it is over when all of it is', () => {
  assert.equal(planPosting({ kind: 'resolved' }, true).update, true)
  assert.equal(planPosting({ kind: 'resolved', isOver: false }, true).update, false)
  assert.equal(planPosting({ kind: 'withdrawn', isOver: true }, true).update, true)
})

test('only what is wholly over is green', () => {
  const tone = (facts: Partial<Notice>) => composeMessage(noticeOf(facts)).tone
  assert.equal(tone({ kind: 'resolved' }), 'good')
  assert.equal(tone({ kind: 'resolved', isOver: false }), 'quiet')
  assert.equal(tone({ kind: 'withdrawn', isOver: true }), 'quiet')
})
