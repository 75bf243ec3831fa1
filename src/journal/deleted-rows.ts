/**
 * Which rows a transaction has deleted, by the places that they had before it: what the log says of each deletion, followed back over
 * the updates of the same transaction.
 */
import { RetakeError } from '../base/errors.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import { createRowFields, isPartitionMove, isUndoneInsert, readHeap } from '../postgres/wal/decode/heap.ts'
import { RMGR } from '../postgres/wal/decode/resource-managers.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import type { WalRecordView } from '../postgres/wal/record-view.ts'
import { visitRecords, type WalLog } from '../recovery/wal-log.ts'
import type { JournalTransaction } from './block.ts'
import { fileKey } from './file-key.ts'
import { readJournal } from './read.ts'

/** A row in a file; as SQL writes it, `(block,offset)` is its `ctid`. */
export interface RowPlace {
  readonly block: number
  readonly offset: number
}

export interface DeletedRows {
  /** By {@link fileKey}. */
  readonly files: ReadonlyMap<string, readonly RowPlace[]>
  /** Rows that the transaction moved to another partition; one of them that it deleted there is not among the deleted ones. */
  readonly moved: number
}

/** Offsets are less than this on the largest page. */
const OFFSETS = 16_384
const MOST_ROWS = 5_000_000

/**
 * @param range ends with or after the end of the transaction
 * @throws RetakeError `target.missing` when the transaction did not commit in it, `restore.refused` when it began before it, or has deleted
 * too many rows; `wal.damaged`, `wal.gap`, `repo.damaged`, `aborted`
 */
export async function readDeletedRows(log: WalLog, range: LsnRange, xid: number): Promise<DeletedRows> {
  const transaction = await findTransaction(log, range, xid)
  const ids = new Set([xid, ...transaction.subxids])
  const collector = new DeletionCollector(ids)
  const endLsn = transaction.end?.endLsn ?? range.endLsn
  await visitRecords(log, { beginLsn: transaction.firstLsn, endLsn }, { visitor: (view) => collector.add(view) })
  return collector.deleted()
}

async function findTransaction(log: WalLog, range: LsnRange, xid: number): Promise<JournalTransaction> {
  let found: JournalTransaction | undefined
  await readJournal(log, range, {
    onTransaction: (one) => {
      if (one.xid === xid && one.outcome === 'committed') found = one
    },
  })
  if (!found) {
    throw new RetakeError('target.missing', `The log that is read for it holds no commit of transaction ${xid}.`, {
      hint: 'Find the transaction with `retake find`; name a backup from before it with --backup.',
    })
  }
  if (found.isFromBegin) return found
  throw new RetakeError(
    'restore.refused',
    `Transaction ${xid} began before the backup, so not all that it deleted is known.`,
    {
      hint: `Name an earlier backup with --backup, or bring back everything that was there before it: --at before-xid:${xid}`,
    },
  )
}

/** Pure: what one transaction and its parts did to rows. */
export class DeletionCollector {
  readonly #ids: ReadonlySet<number>
  readonly #fields = createRowFields()
  readonly #files = new Map<string, FileDeletions>()
  #moved = 0
  #count = 0

  constructor(ids: ReadonlySet<number>) {
    this.#ids = ids
  }

  add(view: WalRecordView): void {
    if (view.rmgr !== RMGR.heap || !this.#ids.has(view.xid)) return
    const row = this.#fields
    if (readHeap(view, row) !== undefined) throw notUnderstood(view)
    const { parts } = view
    if (row.operation === 'update' || row.operation === 'hot-update') {
      // The new version is in the first block; the old one in the second, or in the same.
      const old = parts.blockCount > 1 ? 1 : 0
      const file = this.#fileOf(parts.file(0))
      file.move(placeOf(parts.blocks[old] as number, row.oldOffset), placeOf(parts.blocks[0] as number, row.offset))
    } else if (row.operation === 'delete' && !isUndoneInsert(row)) {
      if (isPartitionMove(row)) this.#moved += 1
      else this.#delete(this.#fileOf(parts.file(0)), placeOf(parts.blocks[0] as number, row.offset))
    }
  }

  deleted(): DeletedRows {
    const files = [...this.#files].map(([key, file]) => [key, file.places()] as const)
    return { files: new Map(files.filter(([, places]) => places.length > 0)), moved: this.#moved }
  }

  #delete(file: FileDeletions, place: number): void {
    file.delete(place)
    this.#count += 1
    if (this.#count <= MOST_ROWS) return
    throw new RetakeError(
      'restore.refused',
      `The transaction has deleted more than ${MOST_ROWS.toLocaleString('en')} rows.`,
      {
        hint: 'Bring back everything that was there before it: --at before-xid:N',
      },
    )
  }

  #fileOf(relation: RelationFile): FileDeletions {
    const key = fileKey(relation)
    const known = this.#files.get(key) ?? new FileDeletions()
    this.#files.set(key, known)
    return known
  }
}

class FileDeletions {
  /** New versions, by where the row was before the transaction. */
  readonly #origins = new Map<number, number>()
  readonly #deleted = new Set<number>()

  move(from: number, to: number): void {
    const origin = this.#origins.get(from) ?? from
    this.#origins.delete(from)
    this.#origins.set(to, origin)
  }

  delete(place: number): void {
    this.#deleted.add(this.#origins.get(place) ?? place)
  }

  places(): RowPlace[] {
    return [...this.#deleted].map((place) => ({ block: Math.floor(place / OFFSETS), offset: place % OFFSETS }))
  }
}

const placeOf = (block: number, offset: number): number => block * OFFSETS + offset

function notUnderstood(view: WalRecordView): RetakeError {
  return new RetakeError('restore.refused', `A record of the transaction, at ${view.lsn}, is not understood.`, {
    hint: 'Bring back everything that was there before it: --at before-xid:N',
  })
}
