/** What goes wrong in the demo. Each notes, in the last instant before it acts, what every table holds. */
import { rm } from 'node:fs/promises'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import type { LocalServer } from '../postgres/server/local-server.ts'
import { type DatabaseDigest, digestDatabase } from './content-digest.ts'

export const disasterKinds = ['delete-rows', 'drop-table', 'lose-server'] as const
export type DisasterKind = (typeof disasterKinds)[number]

export interface Disaster {
  readonly kind: DisasterKind
  /** ISO 8601 UTC, our clock. */
  readonly at: string
  /** What was done, as its author typed it. */
  readonly command: string
  /** What it means, as its author finds out. */
  readonly damage: string
  /** The transaction to recover to just before; absent when the server itself is gone. */
  readonly xid?: bigint | undefined
  /** The content that recovery must bring back. */
  readonly before: DatabaseDigest
  /** How many transactions of the traffic had been confirmed by then. */
  readonly acknowledged: number
}

export interface DisasterScene {
  readonly sql: SqlConnection
  readonly server: LocalServer
  readonly acknowledged: number
}

/** No transaction of the traffic may be open: the digest is then exactly what the disaster finds. */
export function strike(kind: DisasterKind, scene: DisasterScene): Promise<Disaster> {
  switch (kind) {
    case 'delete-rows':
      return inTransaction(scene, {
        kind,
        command: "DELETE FROM reviews; -- WHERE user_id = '…' was on the next line",
        statement: 'delete from public.reviews',
        damage: (rows) =>
          `${rows('public.reviews')} reviews are gone, and with them ${rows('public.review_interactions')} likes and comments`,
      })
    case 'drop-table':
      return inTransaction(scene, {
        kind,
        command: 'DROP TABLE watchlist; -- in what was thought to be staging',
        statement: 'drop table public.watchlist cascade',
        damage: (rows) => `the table with ${rows('public.watchlist')} entries of all watchlists is gone`,
      })
    case 'lose-server':
      return loseServer(scene)
  }
}

interface Script {
  readonly kind: DisasterKind
  readonly command: string
  readonly statement: string
  readonly damage: (rows: (table: string) => string) => string
}

/** The digest is taken inside the disaster's own transaction, behind locks that keep every other writer out until it commits. */
async function inTransaction({ sql, acknowledged }: DisasterScene, script: Script): Promise<Disaster> {
  await sql.query('begin')
  const tables = await sql.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'auth', 'storage', 'retake_traffic')`,
  )
  await sql.query(`lock table ${tables.map((table) => table.name).join(', ')} in share row exclusive mode`)
  const before = await digestDatabase(sql, { inTransaction: true })
  const [row] = await sql.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  await sql.query(script.statement)
  await sql.query('commit')
  return {
    kind: script.kind,
    at: new Date().toISOString(),
    command: script.command,
    damage: script.damage(rowCounter(before)),
    xid: BigInt(row?.xid ?? 0),
    before,
    acknowledged,
  }
}

/** The whole machine, as far as its database is concerned: the processes killed, the data directory deleted. */
async function loseServer({ sql, server, acknowledged }: DisasterScene): Promise<Disaster> {
  const before = await digestDatabase(sql)
  const at = new Date().toISOString()
  await server.kill()
  await rm(server.dataDir, { recursive: true, force: true })
  return {
    kind: 'lose-server',
    at,
    command: 'kill -9 of every process of the server, rm -rf of its data directory',
    damage: 'the server and everything on it is gone',
    before,
    acknowledged,
  }
}

function rowCounter(digest: DatabaseDigest): (table: string) => string {
  return (table) => (digest.tables[table]?.rows ?? 0).toLocaleString('en')
}
