/** How far the log was looked through, and what is needed to go on from there: plain data, which somebody else keeps. */
import * as z from 'zod'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import { type Habits, isNamed } from './habits.ts'
import { INCIDENT_KINDS } from './incident.ts'
import type { Border } from './scan.ts'
import { decodeState, encodeState, unfinishedSchema } from './state.ts'

const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)

/** A mass deletion, or a table or a database that is gone. */
const rememberedSchema = z.object({
  kind: z.enum(INCIDENT_KINDS),
  what: z.string(),
  /** The worst of the tables, `schema.table`; what happened, where it is not about tables. */
  target: z.string(),
  /** `schema.table`, the worst first. */
  tables: z.array(z.string()),
  database: z.string().optional(),
  /** The server's clock, ISO 8601 UTC. */
  at: z.iso.datetime().optional(),
  lsn,
  /** A target as `--at` takes it: everything that was committed before, and nothing of this. */
  before: z.string(),
  /** Our clock, ISO 8601 UTC. */
  seenAt: z.iso.datetime(),
})

export type RememberedIncident = z.infer<typeof rememberedSchema>

export const bookmarkSchema = z.object({
  /** When the log was last read, our clock, ISO 8601 UTC. */
  readAt: z.iso.datetime(),
  timeline: z.int().positive(),
  lsn,
  /** Where the next record begins. */
  resumeLsn: lsn,
  /** Transactions that were open there; absent: it is not known which. */
  open: z.object({ block: z.base64(), unfinished: unfinishedSchema }).optional(),
  /** What tables are used to. */
  habits: z.record(z.string(), z.array(z.int().min(0))),
  /** Since when, our clock, ISO 8601 UTC. */
  habitsSince: z.iso.datetime(),
  /** The oldest first. */
  incidents: z.array(rememberedSchema),
})

export type Bookmark = z.infer<typeof bookmarkSchema>

/** More of open transactions is not worth its place; what they have done so far is then not known. */
const MAX_OPEN_BYTES = 64 * 1024

export function placeOf({ lsn: at, resumeLsn, state }: Border): Pick<Bookmark, 'lsn' | 'resumeLsn' | 'open'> {
  const { block, unfinished } = encodeState(state)
  const place = { lsn: formatLsn(at), resumeLsn: formatLsn(resumeLsn) }
  if (block.length > MAX_OPEN_BYTES) return place
  return { ...place, open: { block: Buffer.from(block).toString('base64'), unfinished } }
}

/** Undefined: what was open is not known. @throws RetakeError `repo.damaged` */
export function borderOf({ lsn: at, resumeLsn, open }: Bookmark): Border | undefined {
  if (!open) return undefined
  const state = decodeState({ block: Buffer.from(open.block, 'base64'), unfinished: open.unfinished })
  return { lsn: parseLsn(at), resumeLsn: parseLsn(resumeLsn), state }
}

/** So many at most; of those that are too many, the ones that change the fewest rows at once. */
const MAX_HABITS = 500
/** Changes of fewer than 2^n rows are never judged. */
const LEAST_MAGNITUDE = 2
/** After so long what was done counts half, so that what has not come for long is no habit any more. */
const FADE_MS = 90 * 86_400_000

type KeptHabits = Pick<Bookmark, 'habits' | 'habitsSince'>

export function keepHabits(habits: Habits, { since, now }: { readonly since: string; readonly now: Date }): KeptHabits {
  const isFading = now.getTime() - Date.parse(since) > FADE_MS
  const worth = [...habits].filter(([key, counts]) => isNamed(key) || counts.length > LEAST_MAGNITUDE)
  const rank = ([key, { length }]: readonly [string, readonly number[]]) =>
    isNamed(key) ? Number.POSITIVE_INFINITY : length
  worth.sort((left, right) => Math.sign(rank(right) - rank(left)) || 0)
  const kept = worth
    .slice(0, MAX_HABITS)
    .map(([key, counts]) => [key, counts.map((count) => (isFading ? Math.floor(count / 2) : count))] as const)
  return { habits: Object.fromEntries(kept), habitsSince: isFading ? now.toISOString() : since }
}
