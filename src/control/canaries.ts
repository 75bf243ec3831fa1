/** Canaries: notices that a person confirms with the code that stands in them, and what is known of channels by them. */
import { type Kysely, sql } from 'kysely'
import type { Notice } from '../monitor/alerts/notice.ts'
import type { CanaryState, ChannelState } from '../monitor/channels/channel-state.ts'
import type { DeliveryFailure } from '../monitor/channels/failure.ts'
import type { ControlTables } from './database/schema.ts'
import { recordNotices } from './outbox.ts'

type Db = Kysely<ControlTables>

export interface Canary {
  readonly notice: Notice
  readonly channel: string
  /** Known to whoever has read the message. */
  readonly code: string
}

/** One that is on record stays as it is. */
export async function recordCanary(db: Db, { notice, channel, code }: Canary): Promise<void> {
  await db
    .insertInto('canary')
    .values({ notice: notice.id, channel, code, at: new Date(notice.at) })
    .onConflict((conflict) => conflict.column('notice').doNothing())
    .execute()
  await recordNotices(db, [{ notice, channels: [channel] }])
}

export async function codeOf(db: Db, notice: string): Promise<string | undefined> {
  const row = await db.selectFrom('canary').select('code').where('notice', '=', notice).executeTakeFirst()
  return row?.code
}

export interface ConfirmedCanary {
  readonly notice: string
  readonly channel: string
  readonly at: Date
  /** When it was delivered: later failures are not disproved by it. */
  readonly provenAt: Date
  readonly confirmedBy: string
}

/** Confirming again changes nothing. Undefined: no canary has this code. */
export async function confirmCanary(
  db: Db,
  { code, by }: { readonly code: string; readonly by: string },
): Promise<ConfirmedCanary | undefined> {
  await sql`
    UPDATE retake.canary AS c
    SET confirmed_by = ${by}, confirmed_at = now(), proven_at = coalesce(
      (SELECT d.delivered_at FROM retake.delivery AS d WHERE d.notice = c.notice AND d.channel = c.channel), c.at)
    WHERE c.code = ${code} AND c.confirmed_at IS NULL`.execute(db)
  const row = await db.selectFrom('canary').selectAll().where('code', '=', code).executeTakeFirst()
  if (!row?.proven_at) return undefined
  const { notice, channel, at, proven_at: provenAt, confirmed_by } = row
  return { notice, channel, at, provenAt, confirmedBy: confirmed_by ?? '' }
}

interface StateRow {
  readonly channel: string
  readonly delivered_at: Date | null
  readonly given_up_at: Date | null
  readonly given_up_failure: DeliveryFailure | null
  readonly waiting_since: Date | null
  readonly waiting_failure: DeliveryFailure | null
  readonly proven_at: Date | null
  readonly canary: string | null
  readonly canary_at: Date | null
  readonly canary_state: CanaryState['state']
  readonly canary_failure: DeliveryFailure | null
}

/** Of each of these channels, in this order; of one through which nothing went, only the name. */
export async function readChannelStates(db: Db, channels: readonly string[]): Promise<ChannelState[]> {
  if (channels.length === 0) return []
  const { rows } = await sql<StateRow>`
    SELECT wanted.channel, delivered.at AS delivered_at,
      given_up.at AS given_up_at, given_up.failure AS given_up_failure,
      waiting.since AS waiting_since, waiting.failure AS waiting_failure,
      proven.at AS proven_at,
      canary.notice AS canary, canary.at AS canary_at, canary.state AS canary_state, canary.failure AS canary_failure
    FROM unnest(${[...channels]}::text[]) WITH ORDINALITY AS wanted (channel, place)
    LEFT JOIN LATERAL (
      SELECT d.delivered_at AS at FROM retake.delivery AS d
      WHERE d.channel = wanted.channel AND d.delivered_at IS NOT NULL
      ORDER BY d.delivered_at DESC LIMIT 1) AS delivered ON true
    LEFT JOIN LATERAL (
      SELECT d.tried_at AS at, d.failure FROM retake.delivery AS d JOIN retake.notice AS n ON n.id = d.notice
      WHERE d.channel = wanted.channel AND d.delivered_at IS NULL AND d.next_at IS NULL AND d.failure IS NOT NULL
        AND n.body ->> 'kind' <> 'test'
      ORDER BY d.tried_at DESC LIMIT 1) AS given_up ON true
    LEFT JOIN LATERAL (
      SELECT d.first_tried_at AS since, d.failure FROM retake.delivery AS d
      WHERE d.channel = wanted.channel AND d.delivered_at IS NULL AND d.next_at IS NOT NULL AND d.failure IS NOT NULL
      ORDER BY d.first_tried_at LIMIT 1) AS waiting ON true
    LEFT JOIN LATERAL (
      SELECT max(c.proven_at) AS at FROM retake.canary AS c WHERE c.channel = wanted.channel) AS proven ON true
    LEFT JOIN LATERAL (
      SELECT c.notice, c.at, d.failure, CASE
        WHEN c.confirmed_at IS NOT NULL THEN 'confirmed'
        WHEN d.delivered_at IS NOT NULL THEN 'delivered'
        WHEN d.next_at IS NOT NULL THEN 'waiting'
        ELSE 'failed' END AS state
      FROM retake.canary AS c LEFT JOIN retake.delivery AS d ON d.notice = c.notice AND d.channel = c.channel
      WHERE c.channel = wanted.channel
      ORDER BY c.at DESC LIMIT 1) AS canary ON true
    ORDER BY wanted.place`.execute(db)
  return rows.map(stateOf)
}

function stateOf(row: StateRow): ChannelState {
  const { channel: name, delivered_at, given_up_at, given_up_failure, waiting_since, waiting_failure } = row
  const { proven_at, canary, canary_at, canary_state: state, canary_failure: failure } = row
  return {
    name,
    ...(delivered_at ? { deliveredAt: delivered_at } : {}),
    ...(given_up_at && given_up_failure ? { givenUp: { at: given_up_at, failure: given_up_failure } } : {}),
    ...(waiting_since && waiting_failure ? { waiting: { since: waiting_since, failure: waiting_failure } } : {}),
    ...(proven_at ? { provenAt: proven_at } : {}),
    ...(canary !== null && canary_at
      ? { canary: { notice: canary, at: canary_at, state, ...(failure ? { failure } : {}) } }
      : {}),
  }
}
