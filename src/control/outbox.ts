/** Notices on their way: written with what they tell of, delivered at least once, in their order on each channel. */
import { type Kysely, sql } from 'kysely'
import type { Notice } from '../monitor/alerts/notice.ts'
import type { Receipt } from '../monitor/channels/channel.ts'
import type { DeliveryFailure } from '../monitor/channels/failure.ts'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

/** A notice and the names of the channels that it goes to. */
export interface Outgoing {
  readonly notice: Notice
  readonly channels: readonly string[]
}

/** One that is on record already stays as it is: deciding twice tells once. */
export async function recordNotices(db: Db, outgoing: readonly Outgoing[]): Promise<void> {
  for (const { notice, channels } of outgoing) {
    await db
      .insertInto('notice')
      .values({ id: notice.id, cluster: notice.cluster ?? null, at: new Date(notice.at), body: JSON.stringify(notice) })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute()
    if (channels.length === 0) continue
    await db
      .insertInto('delivery')
      .values(
        channels.map((channel) => ({
          notice: notice.id,
          channel,
          incident: notice.incident,
          next_at: sql<Date>`now()`,
        })),
      )
      .onConflict((conflict) => conflict.columns(['notice', 'channel']).doNothing())
      .execute()
  }
}

export interface DueDelivery {
  readonly notice: Notice
  readonly channel: string
  /** Which attempt this is, from 1. */
  readonly attempt: number
  readonly firstTriedAt: Date
  /** Of the last notice of the same incident on this channel. */
  readonly previous?: Receipt | undefined
}

/** An attempt that was begun by a server that died is made again after so long. */
const CLAIM = sql`interval '2 minutes'`

/**
 * Claims deliveries whose time has come, for this server alone. Of an incident, a later notice waits on each channel until the
 * earlier ones are through, or were given up.
 */
export async function claimDeliveries(db: Db, { limit }: { readonly limit: number }): Promise<DueDelivery[]> {
  const { rows } = await sql<ClaimedRow>`
    UPDATE retake.delivery AS d
    SET attempts = attempts + 1, next_at = now() + ${CLAIM}, tried_at = now(),
        first_tried_at = coalesce(first_tried_at, now())
    FROM retake.notice AS n
    WHERE n.id = d.notice AND (d.notice, d.channel) IN (
      SELECT one.notice, one.channel
      FROM retake.delivery AS one JOIN retake.notice AS its ON its.id = one.notice
      WHERE one.next_at <= now() AND NOT EXISTS (
        SELECT FROM retake.delivery AS earlier JOIN retake.notice AS told ON told.id = earlier.notice
        WHERE earlier.channel = one.channel AND earlier.incident = one.incident
          AND earlier.next_at IS NOT NULL AND (told.at, told.id) < (its.at, its.id))
      ORDER BY one.next_at LIMIT ${limit}
      FOR UPDATE OF one SKIP LOCKED)
    RETURNING n.body, d.channel, d.attempts, d.first_tried_at, (
      SELECT receipt FROM retake.delivery AS last
      WHERE last.channel = d.channel AND last.incident = d.incident AND last.delivered_at IS NOT NULL
      ORDER BY last.delivered_at DESC LIMIT 1) AS previous`.execute(db)
  return rows.map(({ body, channel, attempts, first_tried_at: firstTriedAt, previous }) => ({
    notice: body,
    channel,
    attempt: attempts,
    firstTriedAt,
    ...(previous ? { previous } : {}),
  }))
}

interface ClaimedRow {
  readonly body: Notice
  readonly channel: string
  readonly attempts: number
  readonly first_tried_at: Date
  readonly previous: Receipt | null
}

export type DeliveryEnd =
  | { readonly receipt: Receipt }
  /** Without `retryAt` it is given up. */
  | { readonly failure: DeliveryFailure; readonly retryAt?: Date | undefined }

export async function settleDelivery(
  db: Db,
  { notice, channel }: { readonly notice: string; readonly channel: string },
  end: DeliveryEnd,
): Promise<void> {
  const change =
    'receipt' in end
      ? { delivered_at: sql<Date>`now()`, next_at: null, receipt: JSON.stringify(end.receipt), failure: null }
      : { next_at: end.retryAt ?? null, failure: JSON.stringify(end.failure) }
  await db.updateTable('delivery').set(change).where('notice', '=', notice).where('channel', '=', channel).execute()
}

/** One that was sent without waiting here, with what came of it. */
export async function recordTried(
  db: Db,
  { notice, channel, end }: { readonly notice: Notice; readonly channel: string; readonly end: DeliveryEnd },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await recordNotices(tx, [{ notice, channels: [channel] }])
    const tried = { attempts: 1, first_tried_at: new Date(notice.at), tried_at: sql<Date>`now()` }
    await tx.updateTable('delivery').set(tried).where('notice', '=', notice.id).execute()
    await settleDelivery(tx, { notice: notice.id, channel }, end)
  })
}

export interface NoticeWithDeliveries {
  readonly notice: Notice
  readonly deliveries: readonly {
    readonly channel: string
    readonly state: 'waiting' | 'delivered' | 'failed'
    readonly attempts: number
    readonly at?: Date | undefined
    readonly failure?: DeliveryFailure | undefined
  }[]
}

export interface ListNoticesOptions {
  readonly cluster?: string | undefined
  readonly before?: { readonly at: Date; readonly id: string } | undefined
  readonly limit: number
}

/** The newest first. */
export async function listNotices(
  db: Db,
  { cluster, before, limit }: ListNoticesOptions,
): Promise<NoticeWithDeliveries[]> {
  let query = db.selectFrom('notice').selectAll().orderBy('at', 'desc').orderBy('id', 'desc').limit(limit)
  if (cluster !== undefined) query = query.where('cluster', '=', cluster)
  if (before) query = query.where(sql<boolean>`(at, id) < (${before.at}, ${before.id})`)
  const notices = await query.execute()
  if (notices.length === 0) return []
  const ids = notices.map(({ id }) => id)
  const rows = await db.selectFrom('delivery').selectAll().where('notice', 'in', ids).orderBy('channel').execute()
  return notices.map(({ id, body }) => ({
    notice: body as Notice,
    deliveries: rows
      .filter((row) => row.notice === id)
      .map(({ channel, attempts, delivered_at, next_at, tried_at, failure }) => ({
        channel,
        state: delivered_at ? 'delivered' : next_at ? 'waiting' : 'failed',
        attempts,
        ...(tried_at ? { at: tried_at } : {}),
        ...(failure ? { failure: failure as unknown as DeliveryFailure } : {}),
      })),
  }))
}

export interface ChannelHistory {
  readonly lastDelivery?: { readonly at: Date; readonly notice: string } | undefined
  readonly lastFailure?: { readonly at: Date; readonly notice: string; readonly failure: DeliveryFailure } | undefined
}

/** What last came through each channel, and what last did not. */
export async function readChannelHistory(db: Db): Promise<Map<string, ChannelHistory>> {
  const delivered = await db
    .selectFrom('delivery')
    .select(['channel', 'notice', 'delivered_at'])
    .distinctOn('channel')
    .where('delivered_at', 'is not', null)
    .orderBy('channel')
    .orderBy('delivered_at', 'desc')
    .execute()
  const failed = await db
    .selectFrom('delivery')
    .select(['channel', 'notice', 'tried_at', 'failure'])
    .distinctOn('channel')
    .where('failure', 'is not', null)
    .orderBy('channel')
    .orderBy('tried_at', 'desc')
    .execute()
  const histories = new Map<string, ChannelHistory>()
  for (const { channel, notice, delivered_at: at } of delivered) {
    if (at) histories.set(channel, { lastDelivery: { at, notice } })
  }
  for (const { channel, notice, tried_at: at, failure } of failed) {
    if (!at || !failure) continue
    const lastFailure = { at, notice, failure: failure as unknown as DeliveryFailure }
    histories.set(channel, { ...histories.get(channel), lastFailure })
  }
  return histories
}
