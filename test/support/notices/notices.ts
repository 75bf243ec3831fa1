/** Notices for tests: plain ones, and any at all. */
import fc from 'fast-check'
import type { Notice, NoticeAlert } from '../../../src/monitor/alerts/notice.ts'

export const NOTICE_KINDS = [
  'fired',
  'reminder',
  'escalated',
  'broadcast',
  'refired',
  'acknowledged',
  'resolved',
  'withdrawn',
  'flapping',
  'digest',
  'canary',
  'test',
  'success',
] as const satisfies readonly Notice['kind'][]

export const ALERT: NoticeAlert = {
  key: 'backup-age:prod',
  rule: 'backup-age',
  severity: 'critical',
  cluster: 'prod',
  title: 'No backup for 27 hours',
  finding: 'The last backup that succeeded is 27 h old; the limit is 25 h.',
  effect: 'Recovery replays 27 h of WAL, which takes about 3 h.',
  fix: 'Run: retake backup --cluster prod',
  since: '2026-11-22T09:04:11.000Z',
}

export function noticeOf(facts: Partial<Notice> = {}): Notice {
  return {
    id: 'n-1',
    kind: 'fired',
    at: '2026-11-22T12:04:11.000Z',
    incident: 'inc-7',
    severity: 'critical',
    cluster: 'prod',
    headline: 'CRITICAL: no backup of prod for 27 hours; recovery would take 3 h',
    alerts: [ALERT],
    ...facts,
  }
}

/** Text that tries to break out: markup of every provider, quotes, marks of direction, half characters, emoji. */
const nasty = fc.oneof(
  fc.constantFrom(
    '<!channel> <@U123> <https://evil.example|here>',
    '@everyone <@&1> **bold** [x](https://evil.example) `code` ||spoiler||',
    '<script>alert(1)</script><img src=x onerror=alert(1)>',
    '</b></a>&lt;&amp;amp;"\'><',
    '\r\nBcc: other@example.org\r\n\r\nbody',
    '\ud800 half \udc00 \u202e turned \u0000\u001b[31m',
    '👩‍👩‍👧‍👦👩‍👩‍👧‍👦 Übergröße ß ﷽',
    '\\_*[]()~`>#+-=|{}.!',
  ),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme', maxLength: 2000 }),
)

const instant = fc
  .date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString())
const severity = fc.constantFrom('critical' as const, 'warning' as const, 'info' as const)

const alert: fc.Arbitrary<NoticeAlert> = fc.record({
  key: nasty,
  rule: nasty,
  severity,
  cluster: nasty,
  title: nasty,
  finding: nasty,
  effect: nasty,
  fix: nasty,
  since: instant,
  resolvedAt: fc.option(instant, { nil: undefined }),
  acknowledgedBy: fc.option(nasty, { nil: undefined }),
})

export const anyNotice: fc.Arbitrary<Notice> = fc.record({
  id: fc.uuid(),
  kind: fc.constantFrom(...NOTICE_KINDS),
  at: instant,
  incident: nasty,
  severity,
  cluster: fc.option(nasty, { nil: undefined }),
  headline: nasty,
  // A few different ones, repeated, are as long as many and quicker to make.
  alerts: fc
    .tuple(fc.array(alert, { maxLength: 4 }), fc.constantFrom(1, 1, 125))
    .map(([list, times]) => Array.from({ length: times }, () => list).flat()),
  level: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  lines: fc.option(fc.array(nasty, { maxLength: 30 }), { nil: undefined }),
  sections: fc.option(
    fc
      .tuple(
        fc.array(
          fc.record({ heading: nasty, rows: fc.array(fc.record({ label: nasty, text: nasty }), { maxLength: 8 }) }),
          {
            maxLength: 3,
          },
        ),
        fc.constantFrom(1, 1, 100),
      )
      .map(([list, times]) => Array.from({ length: times }, () => list).flat()),
    { nil: undefined },
  ),
})

export const anyLinks = fc.record({
  acknowledge: fc.option(fc.webUrl({ withQueryParameters: true, withFragments: true }), { nil: undefined }),
  open: fc.option(fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.constant('javascript:alert(1)')), {
    nil: undefined,
  }),
  confirm: fc.option(fc.webUrl(), { nil: undefined }),
})
