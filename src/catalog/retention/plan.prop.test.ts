import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { TimelineHistory } from '../../postgres/timeline.ts'
import { listSegments } from '../../repository/testing/segments.ts'
import type { BackupFacts } from '../choose-backup.ts'
import type { LsnRange, RecordedRange } from '../coverage.ts'
import { recoveryWindow } from '../window.ts'
import { planRetention, type RetentionInput, type RetentionPlan } from './plan.ts'
import { periods } from './policy.ts'

// Segments of 8 bytes, one hour per byte: small enough for a model that asks of every single moment whether it can be restored.
const SIZE = 8
const HOUR_MS = 3_600_000
const BEGIN_MS = Date.parse('2026-01-01T00:00:00.000Z')
const at = (hour: number) => new Date(BEGIN_MS + hour * HOUR_MS).toISOString()

interface World {
  readonly hours: number
  /** Where the second timeline branches off, if there is one. */
  readonly switchHour: number | undefined
  readonly backups: readonly { start: number; length: number; timeline: 1 | 2 }[]
  /** Bytes of WAL that were lost, in whole segments of a timeline. */
  readonly holes: readonly { timeline: 1 | 2; segment: number }[]
  readonly policy: RetentionInput['policy']
  readonly held: readonly number[]
  readonly verified: readonly number[]
}

const optional = (max: number) => fc.option(fc.integer({ min: 0, max }), { nil: undefined })
const policy = fc.record({
  days: fc.integer({ min: 0, max: 6 }),
  walDays: optional(6),
  count: optional(4),
  daily: optional(4),
  weekly: optional(3),
  monthly: optional(2),
  yearly: optional(1),
})
const timeline = fc.constantFrom(1 as const, 2 as const)
const world: fc.Arbitrary<World> = fc.record({
  hours: fc.integer({ min: 16, max: 240 }),
  switchHour: fc.option(fc.integer({ min: 8, max: 200 }), { nil: undefined }),
  backups: fc.array(
    fc.record({ start: fc.integer({ min: 0, max: 235 }), length: fc.integer({ min: 1, max: 9 }), timeline }),
    {
      maxLength: 14,
    },
  ),
  holes: fc.array(fc.record({ timeline, segment: fc.integer({ min: 0, max: 29 }) }), { maxLength: 4 }),
  policy,
  held: fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 2 }),
  verified: fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 3 }),
})

/** The old timeline was written for a while beyond the point where the new one branched off: what a failed primary does. */
const ABANDONED = 20
/** When a position was written: the new timeline began when the old one had ended. */
const hourAt = (line: number, byte: number) => (line === 2 ? byte + ABANDONED : byte)

const lsn = (value: number) => BigInt(value) as Lsn

function inputOf(w: World): RetentionInput {
  const switchHour = w.switchHour !== undefined && w.switchHour < w.hours - 8 ? w.switchHour : undefined
  const ends = { 1: switchHour === undefined ? w.hours : switchHour + ABANDONED, 2: w.hours }
  const begins = { 1: 0, 2: switchHour === undefined ? w.hours : Math.floor(switchHour / SIZE) * SIZE }
  const rangesOf = (line: 1 | 2): LsnRange[] => {
    const ranges: LsnRange[] = []
    for (let segment = Math.floor(begins[line] / SIZE); segment * SIZE < ends[line]; segment++) {
      if (w.holes.some((hole) => hole.timeline === line && hole.segment === segment)) continue
      const beginLsn = lsn(segment * SIZE)
      const endLsn = lsn(Math.min(ends[line], (segment + 1) * SIZE))
      const open = ranges.at(-1)
      if (open?.endLsn === beginLsn) ranges[ranges.length - 1] = { beginLsn: open.beginLsn, endLsn }
      else ranges.push({ beginLsn, endLsn })
    }
    return ranges
  }
  const backups = w.backups.flatMap(({ start, length, timeline: wanted }, index): BackupFacts[] => {
    const line = switchHour === undefined ? 1 : wanted
    const from = line === 2 ? Math.max(start, switchHour ?? 0) : start
    const stop = from + length
    if (stop > ends[line]) return []
    const common = { timeline: line, stopTimeline: line, startLsn: formatLsn(lsn(from)), stopLsn: formatLsn(lsn(stop)) }
    return [
      {
        backupId: `b${String(index).padStart(2, '0')}`,
        ...common,
        startedAt: at(hourAt(line, from)),
        stoppedAt: at(hourAt(line, stop)),
      },
    ]
  })
  const lines = switchHour === undefined ? ([1] as const) : ([1, 2] as const)
  const recorded: RecordedRange[] = lines.map((line) => ({
    ...{
      timeline: line,
      beginLsn: formatLsn(lsn(begins[line])),
      reason: line === 1 ? 'first-contact' : 'new-timeline',
    },
    ...{ at: at(hourAt(line, line === 2 ? (switchHour ?? 0) : 0)), explanation: '' },
  }))
  const histories: TimelineHistory[] =
    switchHour === undefined
      ? []
      : [{ timeline: 2, entries: [{ timeline: 1, switchLsn: lsn(switchHour), reason: '' }] }]
  return {
    backups,
    coverage: lines.map((line) => ({ timeline: line, ranges: rangesOf(line), gaps: [] })),
    histories,
    segmentSizeBytes: SIZE,
    moments: [],
    ranges: recorded,
    positionTimeline: lines.at(-1),
    policy: w.policy,
    holds: w.held.map((index) => ({ backupId: `b${String(index).padStart(2, '0')}`, reason: 'held' })),
    verified: new Set(w.verified.map((index) => `b${String(index).padStart(2, '0')}`)),
    now: new Date(BEGIN_MS + hourAt(lines.length, w.hours) * HOUR_MS),
    shares: backups.map(({ backupId }, index) => ({
      bytes: 10,
      users: index % 2 === 0 ? [backupId] : [backupId, 'b00'],
    })),
    stored: {
      runs: lines.map((line) => {
        const storedBytes = Array.from({ length: Math.ceil(ends[line] / SIZE) }, () => 1)
        return { timeline: line, first: 0n, last: BigInt(storedBytes.length) - 1n, storedBytes }
      }),
      partials: [],
    },
  }
}

function stays(plan: RetentionPlan, line: number, segment: bigint): boolean {
  const keep = plan.wal.find((decision) => decision.timeline === line)?.keep ?? 'all'
  if (keep === 'all') return true
  return keep.some(({ fromSegment, toSegment = segment }) => fromSegment <= segment && segment <= toSegment)
}

/** The facts as they are once a plan is carried out. */
function carriedOut(input: RetentionInput, plan: RetentionPlan): RetentionInput {
  const kept = new Set(plan.backups.filter(({ action }) => action === 'keep').map(({ backupId }) => backupId))
  return {
    ...input,
    backups: input.backups.filter(({ backupId }) => kept.has(backupId)),
    coverage: input.coverage.map((one) => ({
      ...one,
      ranges: one.ranges.flatMap((range) => {
        const pieces: LsnRange[] = []
        for (let byte: bigint = range.beginLsn; byte < range.endLsn; byte += 1n) {
          if (!stays(plan, one.timeline, byte / BigInt(SIZE))) continue
          const open = pieces.at(-1)
          if (open?.endLsn === byte) pieces[pieces.length - 1] = { beginLsn: open.beginLsn, endLsn: (byte + 1n) as Lsn }
          else pieces.push({ beginLsn: byte as Lsn, endLsn: (byte + 1n) as Lsn })
        }
        return pieces
      }),
    })),
  }
}

/** Every moment that can be restored, as `timeline/position`: from each backup forward along each path, byte by byte. */
function moments(input: RetentionInput): Set<string> {
  const found = new Set<string>()
  const holds = (line: number, byte: number) =>
    input.coverage.some(
      (one) => one.timeline === line && one.ranges.some((range) => range.beginLsn <= byte && byte < range.endLsn),
    )
  const switchHour = Number(input.histories[0]?.entries[0]?.switchLsn ?? Number.POSITIVE_INFINITY)
  const paths = input.histories.length === 0 ? [[1]] : [[1], [1, 2]]
  for (const path of paths) {
    const last = path.at(-1) as number
    for (const backup of input.backups) {
      const [start, stop] = [hourOf(backup.startLsn), hourOf(backup.stopLsn)]
      if (path.length === 2 && backup.timeline === 1 && stop > switchHour) continue
      if (path.length === 1 && backup.timeline === 2) continue
      for (let byte = start; ; byte++) {
        if (byte >= stop) found.add(`${byte < switchHour || path.length === 1 ? 1 : last}/${byte}`)
        const own = path.length === 1 || byte < switchHour ? 1 : last
        // The first segment of a timeline carries its parent's part.
        const carried = path.length === 2 && byte >= Math.floor(switchHour / SIZE) * SIZE && holds(2, byte)
        if (!holds(own, byte) && !carried) break
      }
    }
  }
  return found
}

const hourOf = (text: string) => Number.parseInt(text.split('/')[1] as string, 16)

describe('a retention plan', () => {
  test('property: every moment of the promised window that could be restored can be restored afterwards', () => {
    fc.assert(
      fc.property(world, (w) => {
        const input = inputOf(w)
        const plan = planRetention(input)
        const after = moments(carriedOut(input, plan))
        const fromHour = (Date.parse(plan.windowFrom) - BEGIN_MS) / HOUR_MS
        for (const moment of moments(input)) {
          const [line, byte] = moment.split('/').map(Number) as [number, number]
          if (hourAt(line, byte) >= fromHour)
            assert.ok(after.has(moment), `${moment} is lost; the window begins at ${fromHour}`)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('property: every backup that is kept and was consistent still is', () => {
    fc.assert(
      fc.property(world, (w) => {
        const input = inputOf(w)
        const plan = planRetention(input)
        const later = carriedOut(input, plan)
        const before = moments(input)
        const after = moments(later)
        for (const { timeline: line, stopLsn, backupId } of later.backups) {
          const moment = `${line}/${hourOf(stopLsn)}`
          if (before.has(moment)) assert.ok(after.has(moment), `${backupId} cannot be restored any more`)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('property: the newest restorable, the newest verified, the held and the young are kept, and what goes has no rule', () => {
    fc.assert(
      fc.property(world, (w) => {
        const input = inputOf(w)
        const plan = planRetention(input)
        const reachable = moments(input)
        const usable = plan.backups.filter(({ backupId }) => {
          const facts = input.backups.find((one) => one.backupId === backupId)
          return facts && reachable.has(`${facts.timeline}/${hourOf(facts.stopLsn)}`) && isWhole(input, facts)
        })
        const kept = new Set(plan.backups.filter(({ action }) => action === 'keep').map(({ backupId }) => backupId))
        const must = [
          usable.at(-1),
          usable.findLast(({ backupId }) => input.verified.has(backupId)),
          ...usable.slice(w.policy.count ? -w.policy.count : usable.length),
          ...plan.backups.filter(({ backupId }) => input.holds.some((hold) => hold.backupId === backupId)),
          ...plan.backups.filter(
            ({ stoppedAt }) => Date.parse(stoppedAt) >= input.now.getTime() - w.policy.days * 24 * HOUR_MS,
          ),
        ]
        for (const one of must) if (one) assert.ok(kept.has(one.backupId), `${one.backupId} must stay`)
        for (const { action, rules, why } of plan.backups) {
          assert.equal(action === 'keep', rules.length > 0)
          assert.ok(why.length > 0)
        }
        if (usable.length === 0) assert.equal(kept.size, plan.backups.length)
      }),
      { numRuns: 300 },
    )
  })

  test('property: of each period the newest backup, of as many periods as are wanted', () => {
    fc.assert(
      fc.property(world, (w) => {
        const plan = planRetention(inputOf({ ...w, holes: [], switchHour: undefined }))
        const all = plan.backups
        for (const period of ['daily', 'weekly', 'monthly', 'yearly'] as const) {
          const groups = new Map(all.map((one) => [periods[period](new Date(one.stoppedAt)), one.backupId]))
          const wanted = [...groups.values()].slice(groups.size - Math.min(groups.size, w.policy[period] ?? 0))
          const kept = all.filter(({ rules }) => rules.some(({ rule }) => rule === period))
          assert.deepEqual(
            kept.map(({ backupId }) => backupId),
            wanted,
          )
        }
      }),
    )
  })

  test('property: carried out, it gives up nothing more at the same time; and bytes only shrink', () => {
    fc.assert(
      fc.property(world, (w) => {
        const input = inputOf(w)
        const plan = planRetention(input)
        const { packsBefore, packsAfter, walBefore, walAfter } = plan.bytes
        assert.ok(packsAfter <= packsBefore)
        const segments = listSegments(input.stored ?? { runs: [], partials: [] })
        const staying = segments.filter(({ timeline: line, segment }) => stays(plan, line, segment))
        assert.deepEqual([walBefore, walAfter], [segments.length, staying.length])
        const later = carriedOut(input, plan)
        const again = planRetention(later)
        assert.deepEqual(
          again.backups.filter(({ action }) => action === 'drop'),
          [],
        )
        const second = carriedOut(later, again)
        assert.deepEqual(
          second.coverage.map(({ ranges }) => ranges),
          later.coverage.map(({ ranges }) => ranges),
        )
      }),
      { numRuns: 200 },
    )
  })

  test('property: the windows that it shows are those that there will be', () => {
    fc.assert(
      fc.property(world, (w) => {
        const input = inputOf(w)
        const plan = planRetention(input)
        const edges = (windows: RetentionPlan['after']) =>
          windows.map(({ timeline: line, from, to, backups }) => [line, from.lsn, to.lsn, backups])
        assert.deepEqual(edges(plan.after), edges(recoveryWindow(carriedOut(input, plan)).windows))
        assert.deepEqual(edges(plan.before), edges(recoveryWindow(input).windows))
      }),
      { numRuns: 150 },
    )
  })
})

function isWhole(input: RetentionInput, backup: BackupFacts): boolean {
  const alone = { ...input, backups: [backup] }
  return moments(alone).has(`${backup.timeline}/${hourOf(backup.stopLsn)}`)
}
