import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { HealthReport } from '../read-health.ts'
import { acknowledge } from './actions.ts'
import { type Evaluation, evaluateAlerts } from './evaluate.ts'
import type { Notice } from './notice.ts'
import { type AlertPolicy, defaultPolicy, type QuietTime } from './policy.ts'
import type { ClusterAlerts } from './state.ts'
import { bad, reportOf, type World } from './testing/reports.ts'

const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS
const START = Date.parse('2026-11-23T00:00:00Z')

const policy: AlertPolicy = {
  ...defaultPolicy,
  levels: [
    { channels: ['one'], afterMs: 0 },
    { channels: ['two'], afterMs: 15 * MINUTE_MS },
    { channels: ['three'], afterMs: 30 * MINUTE_MS },
  ],
  everybody: ['one', 'two', 'three', 'all'],
}

interface Sent {
  readonly atMs: number
  readonly notice: Notice
  readonly channels: readonly string[]
}

interface Simulation {
  readonly sent: readonly Sent[]
  readonly rounds: readonly { readonly atMs: number; readonly states: ClusterAlerts; readonly report: HealthReport }[]
}

interface SimulateOptions {
  readonly minutes: number
  /** What is wrong at a minute. */
  readonly worldAt: (minute: number) => World
  readonly stepMinutes?: number
  readonly quiet?: readonly QuietTime[]
  /** Every told alert is acknowledged at these minutes. */
  readonly acknowledgeAt?: ReadonlySet<number>
}

/** A fake clock that goes on minute by minute; states go through JSON between any two rounds, as between two servers. */
function simulate({
  minutes,
  worldAt,
  stepMinutes = 1,
  quiet = [],
  acknowledgeAt = new Set(),
}: SimulateOptions): Simulation {
  let states: ClusterAlerts | undefined
  const sent: Sent[] = []
  const rounds: { atMs: number; states: ClusterAlerts; report: HealthReport }[] = []
  for (let minute = 0; minute < minutes; minute += stepMinutes) {
    const now = new Date(START + minute * MINUTE_MS)
    const report = reportOf(worldAt(minute), now)
    const evaluation: Evaluation = evaluateAlerts({ report, states, policy, quiet, now })
    if (minute % 97 === 0) {
      assert.deepEqual(evaluateAlerts({ report, states, policy, quiet, now }), evaluation, 'twice the same')
    }
    states = JSON.parse(JSON.stringify(evaluation.states)) as ClusterAlerts
    sent.push(...evaluation.outgoing.map((one) => ({ atMs: now.getTime(), ...one })))
    if (acknowledgeAt.has(minute)) {
      for (const { key, phase } of Object.values(states.alerts)) {
        if (phase === 'firing')
          states = acknowledge(states, { cluster: 'main', key, by: 'ada', now, policy })?.states ?? states
      }
    }
    rounds.push({ atMs: now.getTime(), states, report })
  }
  return { sent, rounds }
}

const kinds = ({ sent }: Simulation) => sent.map(({ notice }) => notice.kind)

describe('one alert', () => {
  test('nobody is told before it has held for as long as its rule says', () => {
    const { sent } = simulate({ minutes: 60, worldAt: (minute) => (minute === 10 ? { server: bad } : {}) })
    assert.deepEqual(sent, [])
  })

  test('an unacknowledged critical one goes through all levels twice, then to everybody; its end is told to all of them', () => {
    const { sent } = simulate({
      minutes: 240,
      worldAt: (minute) => (minute >= 10 && minute < 200 ? { server: bad } : {}),
    })
    assert.deepEqual(
      sent.map(({ notice: { kind }, channels, atMs }) => `${(atMs - START) / MINUTE_MS} ${kind} ${channels.join('+')}`),
      [
        '13 fired one',
        '28 escalated two',
        '43 escalated three',
        '58 escalated one',
        '73 escalated two',
        '88 escalated three',
        '103 broadcast all+one+three+two',
        '205 resolved all+one+three+two',
      ],
    )
    assert.equal(new Set(sent.map(({ notice }) => notice.incident)).size, 1)
    assert.match(sent.at(-1)?.notice.lines?.join(' ') ?? '', /lasted 3 h 15 min/)
  })

  test('a warning stays with the first level, and is brought to mind once a day', () => {
    const { sent } = simulate({ minutes: 3 * 1440, stepMinutes: 5, worldAt: () => ({ receiver: bad }) })
    assert.deepEqual(kinds({ sent, rounds: [] }), ['fired', 'reminder', 'reminder'])
    assert.ok(sent.every(({ channels }) => channels.join() === 'one'))
  })

  test('an acknowledgement stops escalation for an hour; then the level that had it is told anew', () => {
    const { sent } = simulate({
      minutes: 110,
      worldAt: (minute) => (minute >= 10 ? { server: bad } : {}),
      acknowledgeAt: new Set([30]),
    })
    assert.deepEqual(
      sent.map(({ notice: { kind }, channels, atMs }) => `${(atMs - START) / MINUTE_MS} ${kind} ${channels.join('+')}`),
      ['13 fired one', '28 escalated two', '90 refired two', '105 escalated three'],
    )
  })

  test('what follows from another is not told, and is not told when that is over', () => {
    const { sent, rounds } = simulate({
      minutes: 120,
      worldAt: (minute) => (minute >= 10 && minute < 60 ? { server: bad, receiver: bad } : {}),
    })
    assert.deepEqual(
      new Set(sent.flatMap(({ notice }) => notice.alerts.map(({ rule }) => rule))),
      new Set(['database-unreachable']),
    )
    const inhibited = rounds
      .flatMap(({ states }) => Object.values(states.alerts))
      .some(({ inhibitedBy }) => inhibitedBy)
    assert.ok(inhibited)
  })

  test('while somebody works on it nobody is told; what is still there afterwards is new', () => {
    const quiet = [{ from: new Date(START), until: new Date(START + 60 * MINUTE_MS) }]
    const { sent } = simulate({
      minutes: 90,
      quiet,
      worldAt: (minute) => (minute >= 10 && minute < 70 ? { server: bad } : {}),
    })
    assert.deepEqual(
      sent.map(({ notice: { kind }, atMs }) => `${(atMs - START) / MINUTE_MS} ${kind}`),
      ['60 fired', '75 resolved'],
    )
  })

  test('one that comes and goes is told as such once, and its end when it holds still', () => {
    const { sent } = simulate({
      minutes: 600,
      worldAt: (minute) => (minute < 300 && minute % 6 < 3 ? { server: bad } : {}),
    })
    const said = kinds({ sent, rounds: [] })
    assert.ok(said.filter((kind) => kind === 'flapping').length >= 1, said.join())
    assert.ok(said.length <= 8, said.join())
    assert.equal(said.at(-1), 'resolved')
  })

  test('what is unknown resolves nothing and fires nothing but that', () => {
    const { sent } = simulate({
      minutes: 240,
      worldAt: (minute) => (minute < 20 ? { server: bad } : { server: 'unknown', receiver: 'unknown' }),
    })
    assert.ok(!kinds({ sent, rounds: [] }).includes('resolved'))
    assert.deepEqual(
      new Set(sent.flatMap(({ notice }) => notice.alerts.map(({ rule }) => rule))),
      new Set(['database-unreachable']),
    )
  })
})

/** Episodes of trouble of several kinds, over two hundred days. */
const troubles = fc.array(
  fc.record({
    what: fc.constantFrom('server', 'repository', 'receiver', 'table', 'wal', 'backup'),
    beginMinute: fc.integer({ min: 0, max: 200 * 1440 - 1 }),
    minutes: fc.integer({ min: 1, max: 3 * 1440 }),
    state: fc.constantFrom(bad, 'unknown'),
  }),
  { maxLength: 12 },
)

test('two hundred days: told once for each episode, its end once to whoever was told, and never while it is quiet', () => {
  fc.assert(
    fc.property(troubles, fc.integer({ min: 0, max: 190 }), (episodes, quietDay) => {
      const quiet = [{ from: new Date(START + quietDay * DAY_MS), until: new Date(START + (quietDay + 2) * DAY_MS) }]
      const stepMinutes = 60
      const { sent } = simulate({
        minutes: 200 * 1440,
        stepMinutes,
        quiet,
        worldAt: (minute) => {
          const world: Record<string, string> = {}
          for (const { what, beginMinute, minutes, state } of episodes) {
            if (minute >= beginMinute && minute < beginMinute + minutes) world[what] = state
          }
          return world as World
        },
      })
      const ids = sent.map(({ notice }) => notice.id)
      assert.equal(new Set(ids).size, ids.length)
      const open = new Map<string, Set<string>>()
      const ending = new Map<string, number>()
      for (const { notice, channels, atMs } of sent) {
        const isQuiet = quiet.some(({ from, until }) => from.getTime() <= atMs && atMs < until.getTime())
        assert.ok(!isQuiet || notice.kind === 'resolved', `${notice.kind} while it is quiet`)
        for (const { key } of notice.alerts) {
          const told = open.get(key)
          if (notice.kind === 'fired') assert.ok(!told, 'told twice')
          else assert.ok(told, `${notice.kind} of what nobody was told of`)
          assert.equal(ending.get(key) ?? atMs, atMs, 'some of those who were told did not hear of its end')
          if (notice.kind !== 'resolved') {
            open.set(key, new Set([...(told ?? []), ...channels]))
            continue
          }
          // Whoever knows of something that goes on in the same group is told of the end in other words, at the same time.
          assert.ok(
            channels.every((name) => told?.has(name)),
            'told of its end twice, or of the end of what it was not told of',
          )
          const left = [...(told ?? [])].filter((name) => !channels.includes(name))
          if (left.length > 0) ending.set(key, atMs)
          else ending.delete(key)
          if (left.length > 0) open.set(key, new Set(left))
          else open.delete(key)
        }
      }
      assert.deepEqual([...ending.keys()], [])
    }),
    // One that fails is told as it is: to make it smaller takes longer than to read it.
    { numRuns: 4, endOnFailure: true },
  )
})
