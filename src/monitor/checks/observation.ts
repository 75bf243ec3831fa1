/** What one round of checks saw of the server, for the next one: growth, rates and idleness are seen only between two. */
import * as z from 'zod'
import { bookmarkSchema } from '../../journal/bookmark.ts'
import { diskMemorySchema } from './disk-forecast.ts'
import { lossSchema } from './losses.ts'

const observationSchema = z.object({
  /** The server's clock, ISO 8601 UTC. */
  at: z.iso.datetime(),
  database: z.string(),
  timeline: z.int().positive().optional(),
  /** Read before `insertLsn`: which transactions were over. */
  nextXid: z.string(),
  /** Whether a transaction that had written something was still open. */
  transactionsOpen: z.boolean(),
  flushLsn: z.string(),
  /** Where the server wrote WAL; unknown of a standby. */
  insertLsn: z.string().optional(),
  tables: z.array(
    z.object({
      table: z.string(),
      exists: z.boolean(),
      /** As they were last known. */
      rows: z.number().optional(),
      /** When that was; absent: at this look. */
      rowsAt: z.iso.datetime().optional(),
      /** Rows that have vanished and are not back. */
      losses: z.array(lossSchema).optional(),
    }),
  ),
  /** How far the log was looked through for mass deletions, and what was found. */
  journal: bookmarkSchema.optional(),
  /** Of the repository, where it is a directory. */
  disk: diskMemorySchema.optional(),
  /** Whether files of the server lay outside its data directory, and since when they do though they did not before. */
  configuration: z.object({ outside: z.boolean(), outsideSince: z.iso.datetime().optional() }).optional(),
})

export type Observation = z.infer<typeof observationSchema>
export type RememberedTable = Observation['tables'][number]

/** The observation in the output of an earlier `retake health --json`; undefined: there is none. */
export function readObservation(report: unknown): Observation | undefined {
  const parsed = z.object({ observation: observationSchema }).safeParse(report)
  return parsed.success ? parsed.data.observation : undefined
}
