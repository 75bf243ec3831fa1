/** What was open at a place in the log as few bytes, so that reading goes on from there another time. */
import * as z from 'zod'
import type { AssemblerState } from '../postgres/wal/transactions/assembler.ts'
import { decodeBlock, encodeBlock } from './block.ts'

const xid = z.int().min(0)

/** What a block of open transactions does not say; of each of them the transaction that it is a part of, or 0. */
export const unfinishedSchema = z.object({
  topXids: z.array(xid),
  beginsFromXid: xid.optional(),
  hasMissedEnd: z.boolean(),
})

export interface EncodedState {
  /** The open transactions. */
  readonly block: Uint8Array
  readonly unfinished: z.infer<typeof unfinishedSchema>
}

export function encodeState({ unfinished, beginsFromXid, hasMissedEnd }: AssemblerState): EncodedState {
  return {
    block: encodeBlock(unfinished.map(({ transaction }) => ({ ...transaction, outcome: 'unknown' as const }))),
    unfinished: {
      topXids: unfinished.map(({ topXid }) => topXid ?? 0),
      ...(beginsFromXid === undefined ? {} : { beginsFromXid }),
      hasMissedEnd,
    },
  }
}

/** @throws RetakeError `repo.damaged` */
export function decodeState({ block, unfinished }: EncodedState): AssemblerState {
  return {
    unfinished: decodeBlock(block).map((transaction, index) => ({
      transaction: {
        ...transaction,
        outcome: transaction.prepared ? ('prepared' as const) : ('in-progress' as const),
      },
      topXid: unfinished.topXids[index] || undefined,
    })),
    beginsFromXid: unfinished.beginsFromXid,
    hasMissedEnd: unfinished.hasMissedEnd,
  }
}
