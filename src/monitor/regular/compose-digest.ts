/** The digest of a day: one notice about all clusters, the worst first. Pure. */

import type { AlertSeverity, Notice, NoticeAlert } from '../alerts/notice.ts'
import { idOf } from '../alerts/notice-id.ts'
import {
  type ClusterView,
  type DigestCluster,
  STANDINGS,
  type Standing,
  sectionOf,
  standingOf,
} from './digest-cluster.ts'
import { instantIn } from './instants.ts'

export interface DigestFacts {
  /** When it was due: there is one for each such time. */
  readonly due: Date
  readonly now: Date
  /** It tells of what has happened since then. */
  readonly from: Date
  readonly zone: string
  /** A look that is older says nothing of now. */
  readonly staleAfterMs: number
  readonly clusters: readonly DigestCluster[]
  /** Those that people should know of, also of the server itself. */
  readonly open: readonly NoticeAlert[]
  /** How many more are open that others explain. */
  readonly explained: number
  /** Since `from`. */
  readonly resolved: readonly NoticeAlert[]
}

/** Of more nobody reads; how many more there are is said. */
const MOST_CLUSTERS = 60
const MOST_OPEN = 60
const MOST_RESOLVED = 30

const SEVERITIES: readonly AlertSeverity[] = ['critical', 'warning', 'info']

export function digestId(due: Date): string {
  return idOf(['digest', due.toISOString()])
}

export function composeDigest(facts: DigestFacts): Notice {
  const { due, now, open, resolved } = facts
  const id = digestId(due)
  const judged = judgeAll(facts)
  const bySeverity = [...open].sort((left, right) => rank(left) - rank(right) || (left.key < right.key ? -1 : 1))
  return {
    id,
    kind: 'digest',
    at: now.toISOString(),
    incident: `digest-${id}`,
    severity: 'info',
    headline: headlineOf(judged, open),
    alerts: [...bySeverity.slice(0, MOST_OPEN), ...resolved.slice(0, MOST_RESOLVED)],
    lines: linesOf(facts, judged),
    sections: judged.slice(0, MOST_CLUSTERS).map(({ cluster, view }) => sectionOf(cluster, view)),
  }
}

interface Judged {
  readonly cluster: DigestCluster
  readonly view: ClusterView
  readonly standing: Standing
}

function judgeAll({ clusters, open, now, staleAfterMs, zone }: DigestFacts): Judged[] {
  const instant = instantIn(zone)
  const worst = new Map<string, AlertSeverity>()
  for (const severity of [...SEVERITIES].reverse()) {
    for (const alert of open) if (alert.severity === severity) worst.set(alert.cluster, severity)
  }
  const judged = clusters.map((cluster): Judged => {
    const view = { now, staleAfterMs, instant, worst: worst.get(cluster.name) }
    return { cluster, view, standing: standingOf(cluster, view) }
  })
  const score = ({ cluster }: Judged) => cluster.report?.score.value ?? 0
  return judged.sort(
    (left, right) =>
      STANDINGS.indexOf(left.standing) - STANDINGS.indexOf(right.standing) ||
      score(left) - score(right) ||
      (left.cluster.name < right.cluster.name ? -1 : 1),
  )
}

const rank = ({ severity }: NoticeAlert) => SEVERITIES.indexOf(severity)

/** Readable on a watch: how many are not well, which one first, how many alerts. */
function headlineOf(judged: readonly Judged[], open: readonly NoticeAlert[]): string {
  const total = judged.length
  const counts = STANDINGS.filter((standing) => standing !== 'well').flatMap((standing) => {
    const list = judged.filter((one) => one.standing === standing)
    const [first] = list
    if (!first) return []
    return [list.length === 1 ? `${first.cluster.name} ${IS[standing]}` : `${list.length} ${ARE[standing]}`]
  })
  const clusters = total === 1 ? '1 cluster' : `${total} clusters`
  const standing = counts.length === 0 ? `${clusters}, all well` : `${clusters}: ${counts.join(', ')}`
  return `${standing}; ${alertCount(open)}`
}

const IS: Readonly<Record<Standing, string>> = {
  endangered: 'is endangered',
  unknown: 'is unknown',
  'needs care': 'needs care',
  well: 'is well',
}
const ARE: Readonly<Record<Standing, string>> = {
  endangered: 'are endangered',
  unknown: 'are unknown',
  'needs care': 'need care',
  well: 'are well',
}

function alertCount(open: readonly NoticeAlert[]): string {
  if (open.length === 0) return 'no alert is open'
  const counts = SEVERITIES.flatMap((severity) => {
    const count = open.filter((alert) => alert.severity === severity).length
    return count === 0 ? [] : [`${count} ${severity}`]
  })
  return `${open.length === 1 ? '1 alert is' : `${open.length} alerts are`} open (${counts.join(', ')})`
}

function linesOf({ from, now, zone, open, explained, resolved }: DigestFacts, judged: readonly Judged[]): string[] {
  const instant = instantIn(zone)
  const more = (count: number, what: string) => (count > 0 ? [`${count} more ${what}.`] : [])
  const hidden = judged.slice(MOST_CLUSTERS)
  const standings = STANDINGS.flatMap((standing) => {
    const count = hidden.filter((one) => one.standing === standing).length
    return count === 0 ? [] : [`${count} ${count === 1 ? IS[standing] : ARE[standing]}`]
  })
  return [
    `From ${instant(from)} to ${instant(now)}.`,
    resolved.length === 0 ? 'No alert was resolved.' : `Resolved: ${resolved.length}.`,
    ...more(explained, `alerts are open that others explain (retake alerts list)`),
    ...more(open.length - MOST_OPEN, 'alerts are open than are shown here (retake alerts list)'),
    ...more(resolved.length - MOST_RESOLVED, 'alerts were resolved than are shown here'),
    ...(hidden.length === 0 ? [] : [`${hidden.length} more clusters than are shown here: ${standings.join(', ')}.`]),
  ]
}
