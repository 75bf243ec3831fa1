/**
 * The journal of a stretch of the log as it is stored: transactions in blocks, marks, and what was open at its end, so that the next
 * stretch goes on from there without reading any of this one.
 */
import * as z from 'zod'
import type { InstantMicros } from '../base/instant.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { AssemblerState } from '../postgres/wal/transactions/assembler.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { Container } from '../repository/container.ts'
import { type JournalChunkId, journalChunkName, openJournalChunk } from '../repository/journal-chunks.ts'
import { decodeMeta } from '../repository/meta.ts'
import { MAX_FRAME_BYTES } from '../repository/sealing.ts'
import { encodeBlock, type JournalTransaction } from './block.ts'
import { type JournalMark, MARK_TYPES } from './mark.ts'
import type { Border } from './scan.ts'
import { decodeState, encodeState, unfinishedSchema } from './state.ts'

const TRANSACTIONS_OF_BLOCK = 8192

const lsn = z
  .string()
  .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
  .transform(parseLsn)
/** Microseconds. */
const at = z
  .string()
  .regex(/^-?\d{1,20}$/)
  .transform((text) => BigInt(text) as InstantMicros)
const metaSchema = z.object({
  /** Of the records that are in here: those that end behind the first and not behind the second. */
  beginLsn: lsn,
  endLsn: lsn,
  resumeLsn: lsn,
  transactions: z.int().min(0),
  /** Of commits and aborts; absent when there are none. */
  firstAt: at.optional(),
  lastAt: at.optional(),
  /** How many frames each block has. */
  blocks: z.array(z.int().positive()),
  marks: z.array(
    z.object({ type: z.enum(MARK_TYPES), lsn, endLsn: lsn, at: at.optional(), name: z.string().optional() }),
  ),
  /** What is open at the end is the last block. */
  unfinished: unfinishedSchema,
})

export class ChunkBuilder {
  readonly #beginLsn: Lsn
  readonly #blocks: Uint8Array[] = []
  readonly #marks: JournalMark[] = []
  #transactions: JournalTransaction[] = []
  #count = 0
  #firstAt: InstantMicros | undefined
  #lastAt: InstantMicros | undefined

  constructor(beginLsn: Lsn) {
    this.#beginLsn = beginLsn
  }

  add(transaction: JournalTransaction): void {
    this.#count += 1
    this.#transactions.push(transaction)
    const time = transaction.end?.at
    if (time !== undefined) {
      if (this.#firstAt === undefined || time < this.#firstAt) this.#firstAt = time
      if (this.#lastAt === undefined || time > this.#lastAt) this.#lastAt = time
    }
    if (this.#transactions.length === TRANSACTIONS_OF_BLOCK) this.#endBlock()
  }

  mark(mark: JournalMark): void {
    this.#marks.push(mark)
  }

  /** Everything up to the border was added. */
  build({ lsn: endLsn, resumeLsn, state }: Border): BuiltChunk {
    this.#endBlock()
    const { block, unfinished } = encodeState(state)
    const blocks = [...this.#blocks, block].map(framesOf)
    return {
      frames: blocks.flat(),
      meta: {
        beginLsn: formatLsn(this.#beginLsn),
        endLsn: formatLsn(endLsn),
        resumeLsn: formatLsn(resumeLsn),
        transactions: this.#count,
        ...(this.#firstAt === undefined ? {} : { firstAt: this.#firstAt.toString() }),
        ...(this.#lastAt === undefined ? {} : { lastAt: this.#lastAt.toString() }),
        blocks: blocks.map((frames) => frames.length),
        marks: this.#marks.map(({ at: time, ...mark }) => ({
          ...mark,
          lsn: formatLsn(mark.lsn),
          endLsn: formatLsn(mark.endLsn),
          ...(time === undefined ? {} : { at: time.toString() }),
        })),
        unfinished,
      },
    }
  }

  #endBlock(): void {
    if (this.#transactions.length > 0) this.#blocks.push(encodeBlock(this.#transactions))
    this.#transactions = []
  }
}

export interface BuiltChunk {
  readonly meta: object
  readonly frames: readonly Uint8Array[]
}

function framesOf(block: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let begin = 0; begin < block.length; begin += MAX_FRAME_BYTES)
    frames.push(block.subarray(begin, begin + MAX_FRAME_BYTES))
  return frames
}

/** A chunk that is open for reading. */
export interface JournalChunk {
  readonly beginLsn: Lsn
  readonly endLsn: Lsn
  readonly resumeLsn: Lsn
  readonly count: number
  readonly storedBytes: number
  readonly marks: readonly JournalMark[]
  /** Its transactions, as `decodeBlock` reads them. @throws RetakeError `repo.damaged` */
  blocks(): Promise<Uint8Array[]>
  /** @throws RetakeError `repo.damaged` */
  state(): Promise<AssemblerState>
}

/** @returns undefined when it is not there @throws RetakeError `repo.damaged` */
export async function openChunk(cluster: ClusterRepository, id: JournalChunkId): Promise<JournalChunk | undefined> {
  const container = await openJournalChunk(cluster, id)
  if (!container) return undefined
  const meta = decodeMeta(metaSchema, container.meta, journalChunkName(cluster, id))
  const { blocks, unfinished, transactions: count, beginLsn, endLsn, resumeLsn, marks } = meta
  return {
    ...{ beginLsn, endLsn, resumeLsn, count, marks, storedBytes: container.sizeBytes },
    async blocks() {
      const read: Uint8Array[] = []
      let first = 0
      for (const frames of blocks.slice(0, -1)) {
        read.push(await readBlock(container, { first, frames }))
        first += frames
      }
      return read
    },
    async state() {
      const frames = blocks.at(-1) ?? 0
      const first = blocks.slice(0, -1).reduce((sum, one) => sum + one, 0)
      return decodeState({ block: await readBlock(container, { first, frames }), unfinished })
    },
  }
}

async function readBlock(
  container: Container,
  { first, frames }: { readonly first: number; readonly frames: number },
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for (let index = first; index < first + frames; index += 1) pieces.push(await container.readFrame(index))
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
}
