/** Is it what it was? Every table of the recovered server against the digest from the instant before the disaster. */
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import { cineTrackTables } from './cinetrack/tiers.ts'
import { readMarks, type Traffic } from './cinetrack/traffic.ts'
import {
  compareDigests,
  type DatabaseDigest,
  type DigestDifference,
  digestDatabase,
  STEPS_UNDER_WAY,
} from './content-digest.ts'
import type { Disaster } from './disasters.ts'
import { renderColumns } from './story.ts'

export interface Proof {
  readonly expected: DatabaseDigest
  readonly found: DatabaseDigest
  readonly differences: readonly DigestDifference[]
  /** Transactions confirmed to users before the disaster. */
  readonly acknowledged: number
  /** How many of those are not in the recovered database. */
  readonly lost: number
  /** From the first lost transaction to the disaster; 0 when none is lost. */
  readonly rpoMs: number
  /** Transactions that were confirmed after the disaster; they are not in the recovered database, as was asked for. */
  readonly after: number
}

export async function compareWithBefore(
  recovered: { readonly sql: SqlConnection },
  context: { readonly disaster: Disaster; readonly traffic: Traffic },
): Promise<Proof> {
  const { disaster, traffic } = context
  const found = await digestDatabase(recovered.sql)
  const present = await readMarks(recovered.sql)
  const acknowledged = traffic.committed.slice(0, disaster.acknowledged)
  const lost = acknowledged.filter(({ connection, sequence }) => !present.has(`${connection}:${sequence}`))
  const firstLostMs = Math.min(...lost.map(({ atMs }) => atMs))
  return {
    expected: disaster.before,
    found,
    differences: compareDigests(disaster.before, found, { stepsUnderWay: STEPS_UNDER_WAY }),
    acknowledged: acknowledged.length,
    lost: lost.length,
    rpoMs: lost.length === 0 ? 0 : Date.parse(disaster.at) - firstLostMs,
    after: traffic.committed.length - acknowledged.length,
  }
}

export function renderProof(proof: Proof): string[] {
  const ten = new Set(cineTrackTables.map((table) => `${table.schema}.${table.name}`))
  const rowsOf = (digest: DatabaseDigest, name: string) => (digest.tables[name]?.rows ?? 0).toLocaleString('en')
  const verdict = (name: string) =>
    proof.differences.some(({ object }) => object === name) ? 'DIFFERENT' : 'identical'
  const lines = renderColumns([
    ['table', 'tier', 'rows before', 'recovered', 'content'],
    ...cineTrackTables.map(({ schema, name, tier }) => {
      const full = `${schema}.${name}`
      return [name, tier, rowsOf(proof.expected, full), rowsOf(proof.found, full), verdict(full)]
    }),
  ])
  const others = Object.keys(proof.expected.tables).filter((name) => !ten.has(name))
  const different = others.filter((name) => verdict(name) !== 'identical')
  lines.push(
    `${others.length} other tables (auth, storage, titles, …): ${different.length === 0 ? 'identical' : `DIFFERENT: ${different.join(', ')}`}`,
  )
  if (proof.after > 0)
    lines.push(
      `${proof.after} transactions after the disaster are not in it, as asked; the original server still has them`,
    )
  return lines
}
