/** How transactions end (src/include/access/xact.h; what was changed between 15 and 18 is said where it is read). */

import type { RelationFile } from '../record-parts.ts'
import type { WalRecordView } from '../record-view.ts'
import type { Invalidations, Origin, TransactionEndEvent } from './event.ts'
import { type EventBody, Fields, RELATION_FILE_BYTES, type Unknown } from './fields.ts'
import { INVALIDATION_BYTES, invalidatedRelations } from './invalidations.ts'

const OPERATION_MASK = 0x70
const HAS_INFO = 0x80
const XACT = { prepare: 0x10, assignment: 0x50, invalidations: 0x60 } as const
const ENDS: ReadonlyMap<number, TransactionEndEvent['type']> = new Map([
  [0x00, 'commit'],
  [0x20, 'abort'],
  [0x30, 'commit-prepared'],
  [0x40, 'abort-prepared'],
])

/** `xinfo`: which parts follow, in this order but for the dropped statistics, and what else is to be done. */
const HAS = {
  database: 1 << 0,
  subtransactions: 1 << 1,
  files: 1 << 2,
  invalidations: 1 << 3,
  twoPhase: 1 << 4,
  origin: 1 << 5,
  exclusiveLocks: 1 << 6,
  gid: 1 << 7,
  statistics: 1 << 8,
  updateInitFile: 1 << 30,
  forceSync: 1 << 31,
} as const
const KNOWN_INFO = 0x1ff | (1 << 29) | (1 << 30) | (1 << 31)

const GID_LIMIT_BYTES = 200

/** Most transactions have nothing of a kind. */
const NONE: readonly never[] = []

/** An object whose statistics are dropped is named by 64 bits since 18, by 32 before. */
function statisticsBytes(major: number): number {
  return major >= 18 ? 16 : 12
}

export function decodeTransaction(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  const operation = view.info & OPERATION_MASK
  const type = ENDS.get(operation)
  if (type !== undefined) return decodeEnd(view, fields, type)
  switch (operation) {
    case XACT.prepare:
      return decodePrepare(view, fields)
    case XACT.assignment: {
      if (fields.size < 8 || fields.fullSize !== 8 + fields.u32(4) * 4) return fields.shortage
      if (fields.size < fields.fullSize) return 'cut'
      const subxids = fields.list(8, { count: fields.u32(4), itemBytes: 4 }, (at) => fields.u32(at))
      return { type: 'assignment', ofXid: fields.u32(0), subxids }
    }
    case XACT.invalidations: {
      const walk = new Walk(fields, 0)
      const invalidations = walk.invalidations(false)
      return walk.end(fields.fullSize) ?? { type: 'invalidations', invalidations }
    }
    default:
      return 'operation'
  }
}

function decodeEnd(view: WalRecordView, fields: Fields, type: TransactionEndEvent['type']): EventBody | Unknown {
  if (fields.size < 8) return fields.shortage
  const hasInfo = (view.info & HAS_INFO) !== 0
  if (hasInfo && fields.size < 12) return fields.shortage
  const info = hasInfo ? fields.u32(8) : 0
  const has = (flag: number): boolean => (info & flag) !== 0
  if ((info & ~KNOWN_INFO) !== 0 || (has(HAS.gid) && !has(HAS.twoPhase))) return 'content'
  const isPrepared = type === 'commit-prepared' || type === 'abort-prepared'
  if (isPrepared !== has(HAS.twoPhase)) return 'content'

  const walk = new Walk(fields, hasInfo ? 12 : 8)
  const database = has(HAS.database) ? walk.database() : undefined
  const subxids = has(HAS.subtransactions) ? walk.xids() : NONE
  const droppedFiles = has(HAS.files) ? walk.files() : NONE
  const droppedStatistics = has(HAS.statistics) ? walk.skipList(statisticsBytes(view.major)) : 0
  const initFile = has(HAS.updateInitFile)
  const invalidations = has(HAS.invalidations) ? walk.invalidations(initFile) : noInvalidations(initFile)
  const preparedXid = isPrepared ? walk.u32() : undefined
  const gid = has(HAS.gid) ? walk.text(GID_LIMIT_BYTES) : undefined
  const origin = has(HAS.origin) ? walk.origin(view.parts.origin) : undefined
  const problem = walk.end(fields.fullSize)
  if (problem === 'content') return problem
  return {
    type,
    ofXid: isPrepared ? preparedXid : view.xid,
    at: fields.instant(0),
    subxids,
    droppedFiles,
    droppedStatistics,
    invalidations,
    holdsExclusiveLocks: has(HAS.exclusiveLocks),
    isForcedSync: has(HAS.forceSync),
    isComplete: problem === undefined,
    database,
    gid,
    origin,
  }
}

/** `xl_xact_prepare`; behind it lists, and what the server keeps for itself (locks and the like). */
function decodePrepare(view: WalRecordView, fields: Fields): EventBody | Unknown {
  const headerBytes = 72
  if (fields.size < headerBytes) return fields.shortage
  if (fields.u32(4) < headerBytes) return 'content'
  const gidBytes = fields.u16(54)
  if (gidBytes === 0 || gidBytes > GID_LIMIT_BYTES) return 'content'
  if (fields.size < headerBytes + gidBytes) return fields.shortage
  const walk = new Walk(fields, headerBytes + align8(gidBytes))
  const counts = [28, 32, 36, 40, 44, 48].map((at) => fields.u32(at))
  const [subxidCount = 0, commitFiles = 0, abortFiles = 0, commitStatistics = 0, abortStatistics = 0, messages = 0] =
    counts
  const subxids = walk.items(subxidCount, 4, (at) => fields.u32(at))
  walk.align(subxidCount * 4)
  const filesDroppedByCommit = walk.items(commitFiles, RELATION_FILE_BYTES, (at) => fields.file(at))
  walk.align(commitFiles * RELATION_FILE_BYTES)
  const filesDroppedByAbort = walk.items(abortFiles, RELATION_FILE_BYTES, (at) => fields.file(at))
  walk.align(abortFiles * RELATION_FILE_BYTES)
  walk.skip(align8(commitStatistics * statisticsBytes(view.major)))
  walk.skip(align8(abortStatistics * statisticsBytes(view.major)))
  const invalidations = walk.messages(messages, fields.u8(52) !== 0)
  const problem = walk.problem
  if (problem === 'content') return problem
  const { origin: node } = view.parts
  return {
    type: 'prepare',
    ofXid: fields.u32(8),
    at: fields.instant(16),
    gid: fields.text(headerBytes, headerBytes + gidBytes),
    databaseOid: fields.u32(12),
    subxids,
    filesDroppedByCommit,
    filesDroppedByAbort,
    invalidations,
    isComplete: problem === undefined,
    origin: node === 0 ? undefined : { node, lsn: fields.lsn(56), at: fields.instant(64) },
  }
}

function noInvalidations(initFile: boolean): Invalidations {
  return { count: 0, relations: NONE, initFile }
}

/** As the lists of a prepared transaction are laid out. */
function align8(value: number): number {
  return Math.ceil(value / 8) * 8
}

/** Goes from part to part. Once something is missing, what follows is empty, and `problem` says why. */
class Walk {
  readonly #fields: Fields
  #at: number
  problem: Unknown | undefined

  constructor(fields: Fields, at: number) {
    this.#fields = fields
    this.#at = at
  }

  /** What went wrong, if not everything up to `size` was read and no more. */
  end(size: number): Unknown | undefined {
    if (this.problem === undefined && this.#at !== size) this.problem = 'content'
    return this.problem
  }

  u32(): number | undefined {
    return this.#take(4) ? this.#fields.u32(this.#at - 4) : undefined
  }

  database(): { readonly oid: number; readonly tablespace: number } | undefined {
    if (!this.#take(8)) return undefined
    return { oid: this.#fields.u32(this.#at - 8), tablespace: this.#fields.u32(this.#at - 4) }
  }

  xids(): number[] {
    return this.items(this.u32() ?? 0, 4, (at) => this.#fields.u32(at))
  }

  files(): RelationFile[] {
    return this.items(this.u32() ?? 0, RELATION_FILE_BYTES, (at) => this.#fields.file(at))
  }

  /** How many there are. */
  skipList(itemBytes: number): number {
    const count = this.u32() ?? 0
    this.skip(count * itemBytes)
    return count
  }

  invalidations(initFile: boolean): Invalidations {
    return this.messages(this.u32() ?? 0, initFile)
  }

  messages(count: number, initFile: boolean): Invalidations {
    const begin = this.#at
    const atHand = this.#takeItems(count, INVALIDATION_BYTES)
    return { count, relations: invalidatedRelations(this.#fields, begin, atHand), initFile }
  }

  origin(node: number): Origin | undefined {
    if (!this.#take(16)) return undefined
    return { node, lsn: this.#fields.lsn(this.#at - 16), at: this.#fields.instant(this.#at - 8) }
  }

  text(limitBytes: number): string | undefined {
    if (this.problem !== undefined) return undefined
    const text = this.#fields.text(this.#at, this.#at + limitBytes)
    // Its bytes are told by the zero behind them.
    let end = this.#at
    while (end < this.#fields.size && this.#fields.u8(end) !== 0) end += 1
    return this.#take(end + 1 - this.#at) ? text : undefined
  }

  /** As many items as are at hand; when that is not all of them, there is a problem. */
  items<T>(count: number, itemBytes: number, read: (at: number) => T): T[] {
    const begin = this.#at
    return this.#fields.list(begin, { count: this.#takeItems(count, itemBytes), itemBytes }, read)
  }

  skip(bytes: number): void {
    this.#take(bytes)
  }

  /** Passes over what a list of so many bytes was filled up with. */
  align(bytes: number): void {
    this.#take(align8(bytes) - bytes)
  }

  /** How many of them are at hand. */
  #takeItems(count: number, itemBytes: number): number {
    const begin = this.#at
    if (this.problem !== undefined) return 0
    if (this.#take(count * itemBytes)) return count
    return this.problem === 'cut' ? Math.max(0, Math.floor((this.#fields.size - begin) / itemBytes)) : 0
  }

  #take(bytes: number): boolean {
    if (this.problem !== undefined) return false
    const next = this.#at + bytes
    if (next > this.#fields.fullSize) this.problem = 'content'
    else if (next > this.#fields.size) this.problem = 'cut'
    else this.#at = next
    return this.problem === undefined
  }
}
