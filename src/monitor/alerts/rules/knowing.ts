/** What could not be found out. */
import { resultOf } from '../../checks/result.ts'
import type { AlertRule, OwnLook, Sighting } from '../rule.ts'
import { clear, unknownSighting } from '../sightings.ts'
import { NO_REPOSITORY, NO_SERVER, rule } from './make-rule.ts'

export const knowingRules: readonly AlertRule[] = [
  rule({
    name: 'looking-failed',
    title: 'the cluster cannot be looked at',
    severity: 'critical',
    forMinutes: 10,
    effect: 'Nobody knows whether it is still protected: everything that is shown of it is as old as the last look.',
    checks: [],
    look: () => [clear()],
    lookWithout: (look) => ('failed' in look ? [{ target: '', state: 'firing', ...look.failed }] : []),
  }),
  rule({
    name: 'channel-failing',
    title: 'notices do not arrive through a channel',
    severity: 'critical',
    forMinutes: 0,
    effect: 'Whoever is told through it hears of no trouble. Told through every other channel.',
    checks: [],
    look: () => [],
    lookWithout: (look) => ('channels' in look ? [clear(), ...look.channels.map(channelSighting)] : []),
  }),
  rule({
    name: 'check-unknown',
    title: 'a check comes to no result',
    severity: 'warning',
    forMinutes: 30,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'What is unknown is not well. The finding says what stopped it.',
    checks: [],
    look: ({ checks }) =>
      checks.map(({ name, title, state, finding, fix }) => ({
        target: name,
        state: state === 'unknown' ? 'firing' : 'clear',
        finding: `${title}: ${finding}`,
        fix: fix ?? 'retake health',
      })),
  }),
  rule({
    name: 'score-dropped',
    title: 'the health score has dropped',
    severity: 'warning',
    forMinutes: 15,
    endsWithAcknowledgement: true,
    // Each of these is the reason itself.
    inhibitedBy: [
      ...NO_REPOSITORY,
      ...NO_SERVER,
      'no-restorable-backup',
      'pitr-unavailable',
      'rpo-exceeded',
      'slot-lost',
      'backup-late',
      'critical-table-missing',
      'drill-failed',
      'score-unknown',
    ],
    effect:
      'It has lost 20 points within a day, or is in a worse band. Each lost point is named, with what wins it back.',
    checks: [],
    look: ({ score, recommendations }, { scores }) => {
      const loss = scores?.losses.at(-1)
      if (score.value === undefined) return [{ ...unknownSighting(undefined), finding: score.unknownBecause ?? '' }]
      if (!loss) return [clear()]
      const [worst] = score.lost
      return [
        {
          target: '',
          state: 'firing',
          finding: `It is ${score.value} and was ${loss.before} at ${loss.at}.${worst ? ` Most of what it lacks now: ${worst.reason}` : ''}`,
          fix: recommendations[0]?.fix ?? 'retake health',
          newestAt: loss.seenAt,
        },
      ]
    },
  }),
  rule({
    name: 'score-unknown',
    title: 'nobody knows how well it is protected',
    severity: 'warning',
    forMinutes: 30,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'Too little could be found out for a score.',
    checks: ['repository', 'backup'],
    look: ({ score, checks }) => [
      score.value === undefined
        ? { ...unknownSighting(resultOf(checks, 'repository')), state: 'firing', finding: score.unknownBecause ?? '' }
        : { target: '', state: 'clear', finding: '', fix: '' },
    ],
  }),
]

function channelSighting({ name, failing }: OwnLook['channels'][number]): Sighting {
  if (!failing) return clear(name)
  const finding = `Since ${failing.since.toISOString()}: ${failing.message}`
  return { target: name, state: 'firing', finding, fix: `retake alerts test ${name}   # says what is wrong` }
}
