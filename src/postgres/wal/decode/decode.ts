import type { WalRecordView } from '../record-view.ts'
import type { EventPlace, WalEvent } from './event.ts'
import type { EventBody, Unknown } from './fields.ts'
import { decodeHeap, decodeHeap2 } from './heap.ts'
import { decodeLog } from './log.ts'
import { RMGR, resourceManagerName } from './resource-managers.ts'
import { decodeMessage, decodeStandby } from './standby.ts'
import { decodeDatabase, decodeRelationMap, decodeSequence, decodeStorage, decodeTablespace } from './storage.ts'
import { decodeTransaction } from './transaction.ts'

/** Undefined: a kind that is not looked into. */
type Decoder = (view: WalRecordView) => EventBody | Unknown | undefined

const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [RMGR.log, decodeLog],
  [RMGR.transaction, decodeTransaction],
  [RMGR.storage, decodeStorage],
  [RMGR.database, decodeDatabase],
  [RMGR.tablespace, decodeTablespace],
  [RMGR.relationMap, decodeRelationMap],
  [RMGR.standby, decodeStandby],
  [RMGR.heap2, decodeHeap2],
  [RMGR.heap, decodeHeap],
  [RMGR.sequence, decodeSequence],
  [RMGR.logicalMessage, decodeMessage],
])

const FIRST_MAJOR = 15
const LAST_MAJOR = 18

/** Whether the records of this major version can be told apart; those of another are all `unknown`. */
export function isDecodedMajor(major: number): boolean {
  return major >= FIRST_MAJOR && major <= LAST_MAJOR
}

/** What a record means, without its place. A word: why it is not understood; undefined: it is of a kind that is not looked into. */
export function decodeBody(view: WalRecordView): EventBody | Unknown | undefined {
  const decoder = DECODERS.get(view.rmgr)
  return decoder && (isDecodedMajor(view.major) ? decoder(view) : 'version')
}

/**
 * What a record means. Total: whatever is not understood is `unknown` with the reason, and nothing is thrown.
 * The event is an object of its own; where only some of many records matter, ask for `view.rmgr` first.
 */
export function decodeRecord(view: WalRecordView): WalEvent {
  const body = decodeBody(view)
  if (typeof body === 'object') return eventOf(view, body)
  const { rmgr, info } = view
  const named = { ...placeOf(view), rmgr, manager: resourceManagerName(rmgr), info }
  return body === undefined ? { type: 'other', ...named } : { type: 'unknown', ...named, reason: body }
}

export function eventOf<Body extends EventBody>(view: WalRecordView, body: Body): Body & EventPlace {
  return { ...placeOf(view), ...body }
}

function placeOf(view: WalRecordView): EventPlace {
  const { topXid } = view.parts
  return { lsn: view.lsn, endLsn: view.endLsn, xid: view.xid, topXid: topXid === 0 ? undefined : topXid }
}
