/** What few transactions have to say beside the rows they changed. */
import * as z from 'zod'
import { RetakeError } from '../base/errors.ts'
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { WalTransaction, WholeFileEvent } from '../postgres/wal/transactions/transaction.ts'
import type { ColumnReader, ColumnWriter } from './columns.ts'

type Rest = Pick<
  WalTransaction,
  | 'prepared'
  | 'otherFiles'
  | 'wholeFiles'
  | 'wholeFilesLeftOut'
  | 'droppedFiles'
  | 'changedRelations'
  | 'rolledBackRows'
>

const NOTHING: Rest = {
  prepared: undefined,
  otherFiles: undefined,
  wholeFiles: [],
  wholeFilesLeftOut: 0,
  droppedFiles: [],
  changedRelations: [],
  rolledBackRows: 0,
}

/** Undefined: it has nothing of it. */
export function restOf(transaction: WalTransaction): Partial<Rest> | undefined {
  const { prepared, otherFiles, wholeFiles, wholeFilesLeftOut, droppedFiles, changedRelations, rolledBackRows } =
    transaction
  const rest: Partial<Rest> = {
    ...(prepared ? { prepared } : {}),
    ...(otherFiles ? { otherFiles } : {}),
    ...(wholeFiles.length > 0 ? { wholeFiles } : {}),
    ...(wholeFilesLeftOut > 0 ? { wholeFilesLeftOut } : {}),
    ...(droppedFiles.length > 0 ? { droppedFiles } : {}),
    ...(changedRelations.length > 0 ? { changedRelations } : {}),
    ...(rolledBackRows > 0 ? { rolledBackRows } : {}),
  }
  return Object.keys(rest).length > 0 ? rest : undefined
}

export function writeRest(column: ColumnWriter, rest: Partial<Rest>): void {
  column.text(JSON.stringify(rest, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)))
}

const big = z.string().regex(/^-?\d{1,20}$/)
const lsn = big.transform((text) => BigInt(text) as Lsn)
const at = big.transform((text) => BigInt(text) as InstantMicros)
const oid = z.int().min(0)
const file = z.object({ tablespace: oid, database: oid, relfilenode: oid })
const place = { lsn, endLsn: lsn, xid: oid, topXid: oid.optional() }
const event = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('file-create'), ...place, file, fork: z.int() }),
    z.object({
      type: z.literal('file-truncate'),
      ...place,
      file,
      blocks: z.int(),
      forks: z.object({ main: z.boolean(), vm: z.boolean(), fsm: z.boolean() }),
    }),
    z.object({
      type: z.literal('truncate'),
      ...place,
      database: oid,
      relationOids: z.array(oid),
      isCascade: z.boolean(),
      restartsSequences: z.boolean(),
    }),
    z.object({
      type: z.literal('database-create'),
      ...place,
      oid,
      tablespace: oid,
      copiedFrom: z.object({ oid, tablespace: oid }).optional(),
    }),
    z.object({ type: z.literal('database-drop'), ...place, oid, tablespaces: z.array(oid) }),
    z.object({
      type: z.enum(['tablespace-create', 'tablespace-drop']),
      ...place,
      oid,
      location: z.string().optional(),
    }),
    z.object({
      type: z.literal('catalog-row'),
      ...place,
      file,
      block: oid,
      offset: oid,
      change: z.enum(['insert', 'update', 'delete']),
      lengthBytes: oid,
      head: z.base64(),
      from: z.object({ block: oid, offset: oid, prefixBytes: oid, suffixBytes: oid }).optional(),
    }),
    z.object({ type: z.literal('relation-map'), ...place, database: oid, tablespace: oid }),
  ])
  // Left out where the record did not say it.
  .transform((one) => ({ topXid: undefined, ...one }))
const count = z.int()
const restSchema = z.object({
  prepared: z.object({ lsn, endLsn: lsn, at, gid: z.string() }).optional(),
  otherFiles: z.object({ inserted: count, updated: count, deleted: count }).optional(),
  wholeFiles: z.array(event).optional(),
  wholeFilesLeftOut: count.optional(),
  droppedFiles: z.array(file).optional(),
  changedRelations: z.array(z.object({ database: oid, oid })).optional(),
  rolledBackRows: count.optional(),
})

/** @throws RetakeError `repo.damaged` */
export function readRest(column: ColumnReader | undefined): Rest {
  if (!column) return NOTHING
  const parsed = restSchema.safeParse(parseJson(column.text()))
  if (!parsed.success) throw noRest(parsed.error)
  const { prepared, otherFiles, ...lists } = parsed.data
  return { ...NOTHING, ...given(lists), prepared, otherFiles } as Rest & {
    readonly wholeFiles: readonly WholeFileEvent[]
  }
}

function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw noRest(error)
  }
}

function noRest(cause: unknown): RetakeError {
  return new RetakeError('repo.damaged', 'A part of the journal is not what it must be.', {
    hint: 'It is made of the WAL, and can be made again: retake journal update --rebuild',
    cause,
  })
}
