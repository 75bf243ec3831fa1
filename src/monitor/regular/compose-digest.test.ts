import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NoticeAlert } from '../alerts/notice.ts'
import { reportOf } from '../alerts/testing/reports.ts'
import { renderEmailHtml } from '../channels/rendering/email-html.ts'
import { renderPlainText } from '../channels/rendering/plain-text.ts'
import { renderSlack } from '../channels/rendering/slack-blocks.ts'
import { scoreHealth } from '../health/score.ts'
import type { HealthReport } from '../read-health.ts'
import { inputOf, NOW, perfect } from '../testing/health-facts.ts'
import { composeDigest, type DigestFacts } from './compose-digest.ts'
import type { DigestCluster } from './digest-cluster.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const before = (ms: number) => new Date(NOW.getTime() - ms)

/** A report in which everything is as it should be, with its score. */
function wellReport(cluster: string): HealthReport {
  const input = inputOf(perfect)
  const { headline } = reportOf({}, NOW)
  const common = { objectives: [], headline, recommendations: [] }
  return { cluster, at: NOW.toISOString(), verdict: 'ok', score: scoreHealth(input), checks: input.checks, ...common }
}

const well = (name: string, facts: Partial<DigestCluster> = {}): DigestCluster => ({
  name,
  report: wellReport(name),
  dayBefore: { value: 100, formula: 1 },
  runs: [{ task: 'backup', outcome: 'succeeded', count: 2 }],
  next: [{ name: 'nightly', at: new Date(NOW.getTime() + HOUR_MS) }],
  ...facts,
})

const digestOf = (facts: Partial<DigestFacts> = {}) =>
  composeDigest({
    due: NOW,
    now: NOW,
    from: before(DAY_MS),
    zone: 'UTC',
    staleAfterMs: 10 * 60_000,
    clusters: [well('main')],
    open: [],
    explained: 0,
    resolved: [],
    ...facts,
  })

const alertOf = (facts: Partial<NoticeAlert> = {}): NoticeAlert => ({
  key: 'backup-late-1',
  rule: 'backup-late',
  severity: 'warning',
  cluster: 'main',
  title: 'the last backup is too old',
  finding: 'It is 27 h old.',
  effect: 'Recovery takes longer than planned.',
  fix: 'retake backup',
  since: before(3 * HOUR_MS).toISOString(),
  ...facts,
})

const rowsOf = (notice: ReturnType<typeof digestOf>, index = 0) =>
  Object.fromEntries(notice.sections?.[index]?.rows.map(({ label, text }) => [label, text]) ?? [])

describe('a digest', () => {
  test('says in one line that all is well, and of each cluster what is known', () => {
    const notice = digestOf()
    assert.equal(notice.headline, '1 cluster, all well; no alert is open')
    assert.equal(notice.severity, 'info')
    assert.equal(notice.sections?.[0]?.heading, 'main: well')
    const rows = rowsOf(notice)
    assert.equal(rows.Score, '100 of 100, good; the same as the day before')
    assert.match(rows['Last backup'] ?? '', /UTC, 3 h ago, full$/)
    assert.match(rows.Runs ?? '', /^backup 2 succeeded; /)
    assert.match(rows.Next ?? '', /^nightly \d{4}-\d\d-\d\d \d\d:\d\d UTC$/)
  })

  test('has the worst first, and counts what is not well', () => {
    const notice = digestOf({
      clusters: [
        well('calm'),
        well('late', { report: { ...wellReport('late'), at: before(HOUR_MS).toISOString() } }),
        { name: 'new', runs: [], next: [] },
        well('burning'),
        well('slack'),
      ],
      open: [
        alertOf({ cluster: 'slack' }),
        alertOf({ cluster: 'burning', severity: 'critical', key: 'x' }),
        alertOf({ cluster: 'calm', severity: 'info', key: 'y' }),
      ],
    })
    assert.deepEqual(
      notice.sections?.map(({ heading }) => heading),
      ['burning: endangered', 'new: unknown', 'late: unknown', 'slack: needs care', 'calm: well'],
    )
    assert.equal(
      notice.headline,
      '5 clusters: burning is endangered, 2 are unknown, slack needs care; 3 alerts are open (1 critical, 1 warning, 1 info)',
    )
    assert.deepEqual(
      notice.alerts.map(({ severity }) => severity),
      ['critical', 'warning', 'info'],
    )
  })

  test('says what is unknown: no look, an old one, a check without a result, no score of the day before, no drill', () => {
    const report = wellReport('main')
    const noWal = report.checks.map((check) =>
      check.name === 'wal' ? { ...check, state: 'unknown' as const, finding: 'It did not answer.' } : check,
    )
    const rows = rowsOf(
      digestOf({
        clusters: [well('main', { report: { ...report, checks: noWal }, dayBefore: undefined, runs: [], next: [] })],
      }),
    )
    assert.equal(rows.Recoverable, 'unknown: It did not answer.')
    assert.match(rows.Score ?? '', /the day before: unknown$/)
    assert.equal(rows.Unknown, 'wal')
    assert.match(rows.Runs ?? '', /^none ended; whether any was missed is unknown/)
    assert.equal(rows.Next, 'nothing is scheduled')
    const old = rowsOf(
      digestOf({ clusters: [well('main', { report: { ...report, at: before(HOUR_MS).toISOString() } })] }),
    )
    assert.match(old.Unknown ?? '', /^Not looked at since /)
    assert.equal(
      rowsOf(digestOf({ clusters: [{ name: 'new', runs: [], next: [] }] })).Unknown,
      'Nobody has looked at it yet.',
    )
    const noDrill = report.checks.filter(({ name }) => name !== 'drill')
    const due = rowsOf(digestOf({ clusters: [well('main', { report: { ...report, checks: noDrill } })] }))['Coming due']
    assert.match(due ?? '', /drill: none is on record/)
  })

  test('a score by another formula is not compared, and what could not be scored has no number', () => {
    const score = (facts: Partial<DigestCluster>) => rowsOf(digestOf({ clusters: [well('main', facts)] })).Score
    assert.equal(
      score({ dayBefore: { value: 40, formula: 0 } }),
      '100 of 100, good; the day before it was computed by another formula',
    )
    assert.equal(score({ dayBefore: { value: 40, formula: 1 } }), '100 of 100, good; the day before: 40')
    assert.match(score({ report: reportOf({ backup: 'unknown' }, NOW) }) ?? '', /^unknown \(/)
  })

  test('is the same for the same time, however late it is told, and another the next day', () => {
    const late = digestOf({ now: new Date(NOW.getTime() + HOUR_MS) })
    assert.equal(late.id, digestOf().id)
    assert.notEqual(digestOf({ due: new Date(NOW.getTime() + DAY_MS) }).id, late.id)
  })

  test('what many clusters and alerts leave no room for is counted', () => {
    const clusters = Array.from({ length: 1000 }, (_, index) => well(`c${index}`))
    const open = Array.from({ length: 100 }, (_, index) => alertOf({ key: `k${index}`, cluster: `c${index}` }))
    const notice = digestOf({ clusters, open, explained: 7 })
    assert.equal(notice.sections?.length, 60)
    const lines = notice.lines?.join('\n') ?? ''
    assert.match(lines, /940 more clusters than are shown here: 40 need care, 900 are well\./)
    assert.match(lines, /40 more alerts are open than are shown here/)
    assert.match(lines, /7 more alerts are open that others explain/)
  })

  test('moments have the offset of their zone, also across a change of the clock', () => {
    const { lines } = digestOf({
      zone: 'Europe/Berlin',
      from: new Date('2026-10-24T06:00:00Z'),
      now: new Date('2026-10-25T07:00:00Z'),
    })
    assert.equal(lines?.[0], 'From 2026-10-24 08:00 +02:00 to 2026-10-25 08:00 +01:00.')
  })

  test('reads well as a mail and in Slack: open alerts, clusters, then what is over', () => {
    const over = alertOf({ key: 'over', title: 'it was down', resolvedAt: before(HOUR_MS).toISOString() })
    const notice = digestOf({ open: [alertOf()], resolved: [over] })
    const text = renderPlainText(notice)
    const order = [
      /^DIGEST: 1 cluster: main needs care; 1 alert is open/,
      /^From /m,
      /^WARNING the last/m,
      /^main: /m,
      /^RESOLVED it was down/m,
    ]
    const places = order.map((part) => text.search(part))
    assert.ok(
      places.every((place, index) => place >= 0 && place > (places[index - 1] ?? -1)),
      `${places}\n${text}`,
    )
    assert.match(text, /^ {2}Score: 100 of 100, good/m)
    const html = renderEmailHtml(notice)
    assert.match(html, /<td[^>]*>Last backup<\/td><td[^>]*>[^<]+ full<\/td>/)
    assert.match(JSON.stringify(renderSlack(notice).blocks), /Last backup: /)
  })
})
