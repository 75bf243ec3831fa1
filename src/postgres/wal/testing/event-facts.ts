/** Our events in the shape in which `inspected.ts` gives what the server says of the same record. */
import { formatInstant, type InstantMicros } from '../../../base/instant.ts'
import { formatLsn } from '../../lsn.ts'
import type { Invalidations, TransactionEndEvent, WalEvent } from '../decode/event.ts'
import type { BlockReference, RelationFile } from '../record-parts.ts'
import type { Facts } from './inspected.ts'

export function eventFacts(event: WalEvent): Facts {
  return rowFacts(event) ?? fileFacts(event) ?? sessionFacts(event) ?? endingFacts(event) ?? logFacts(event) ?? {}
}

function rowFacts(event: WalEvent): Facts | undefined {
  switch (event.type) {
    case 'insert':
      return { offset: event.offset, isSpeculative: event.isSpeculative, isToast: event.isToast }
    case 'multi-insert':
      return { rows: event.offsets.length, offsets: event.offsets }
    case 'update': {
      const { isHot, oldOffset, offset: newOffset, oldTuple: old } = event
      return { isHot, oldOffset, offset: newOffset, oldTuple: old }
    }
    case 'delete': {
      const { offset: at, oldTuple: old, isUndoneInsert, isPartitionMove } = event
      return { offset: at, oldTuple: old, isUndoneInsert, isPartitionMove }
    }
    case 'confirm':
    case 'lock':
    case 'in-place-update':
      return { offset: event.offset }
    case 'truncate': {
      const { relationOids, isCascade, restartsSequences } = event
      return { relationOids, isCascade, restartsSequences }
    }
    default:
      return undefined
  }
}

function fileFacts(event: WalEvent): Facts | undefined {
  switch (event.type) {
    case 'file-create':
      return { path: filePath(event.file) + ['', '_fsm', '_vm', '_init'][event.fork] }
    case 'file-truncate': {
      const { main, vm, fsm } = event.forks
      const flags = Number(main) + Number(vm) * 2 + Number(fsm) * 4
      return { path: filePath(event.file), blocks: event.blocks, flags }
    }
    case 'database-create': {
      const from = event.copiedFrom
      return { numbers: [...(from ? [from.tablespace, from.oid] : []), event.tablespace, event.oid] }
    }
    case 'database-drop':
      return { numbers: event.tablespaces.flatMap((tablespace) => [tablespace, event.oid]) }
    case 'relation-map':
      return { numbers: [event.database, event.tablespace] }
    case 'sequence':
      return { numbers: [event.file.tablespace, event.file.database, event.file.relfilenode] }
    case 'exclusive-locks':
      return { numbers: event.locks.flatMap((lock) => [lock.xid, lock.database, lock.relationOid]) }
    case 'tablespace-create':
      return { text: `${event.oid} "${event.location}"` }
    case 'tablespace-drop':
      return { text: String(event.oid) }
    default:
      return undefined
  }
}

function sessionFacts(event: WalEvent): Facts | undefined {
  switch (event.type) {
    case 'assignment':
      return { numbers: [event.ofXid, ...event.subxids] }
    case 'invalidations':
      return { invalidations: invalidationFacts(event.invalidations) }
    case 'message': {
      const hex = Buffer.from(event.content).toString('hex').toUpperCase()
      return { isTransactional: event.isTransactional, prefix: event.prefix, bytes: event.contentBytes, hex }
    }
    case 'running-transactions':
      return {
        numbers: [event.nextXid, event.latestCompletedXid, event.oldestRunningXid],
        xids: event.xids,
        isOverflowed: event.isOverflowed,
      }
    default:
      return undefined
  }
}

function endingFacts(event: WalEvent): Facts | undefined {
  switch (event.type) {
    case 'prepare':
      return {
        ...endFacts(event, event.gid),
        files: [],
        filesOfCommit: event.filesDroppedByCommit.map(filePath),
        filesOfAbort: event.filesDroppedByAbort.map(filePath),
        isForcedSync: false,
      }
    case 'commit':
    case 'abort':
    case 'commit-prepared':
    case 'abort-prepared':
      return {
        ...endFacts(event, event.type.endsWith('prepared') ? String(event.ofXid) : undefined),
        files: event.droppedFiles.map(filePath),
        filesOfCommit: [],
        filesOfAbort: [],
        isForcedSync: event.isForcedSync && event.type.startsWith('commit'),
      }
    default:
      return undefined
  }
}

function logFacts(event: WalEvent): Facts | undefined {
  switch (event.type) {
    case 'restore-point':
      return { text: event.name }
    case 'full-page-writes':
      return { text: String(event.fullPageWrites) }
    case 'backup-end':
      return { text: formatLsn(event.startLsn) }
    case 'checkpoint':
      return {
        kind: event.kind,
        redo: formatLsn(event.redoLsn),
        timelines: [event.timeline, event.previousTimeline],
        fullPageWrites: event.fullPageWrites,
        xid: `${event.xidEpoch}:${event.nextXid}`,
        nextOid: event.nextOid,
        oldestXid: event.oldestXid,
        oldestActiveXid: event.oldestActiveXid,
      }
    case 'parameter-change':
      return {
        text: `max_connections=${event.maxConnections} max_worker_processes=${event.maxWorkerProcesses} max_wal_senders=${event.maxWalSenders} max_prepared_xacts=${event.maxPreparedTransactions} max_locks_per_xact=${event.maxLocksPerTransaction} wal_level=${event.walLevel} wal_log_hints=${event.walLogHints ? 'on' : 'off'} track_commit_timestamp=${event.trackCommitTimestamp ? 'on' : 'off'}`,
      }
    case 'abandoned-record':
      return { lsn: formatLsn(event.abandonedLsn) }
    case 'end-of-recovery':
      return { timelines: [event.timeline, event.previousTimeline], at: timeText(event.at) }
    default:
      return undefined
  }
}

type Ending = Pick<TransactionEndEvent, 'at' | 'subxids' | 'invalidations' | 'origin'>

function endFacts(event: Ending, name: string | undefined): Facts {
  const { origin } = event
  return {
    name,
    at: timeText(event.at),
    subxids: event.subxids,
    invalidations: invalidationFacts(event.invalidations),
    origin: origin && `${origin.node} ${formatLsn(origin.lsn)} ${timeText(origin.at)}`,
  }
}

function invalidationFacts({ count, relations, initFile }: Invalidations): Facts {
  // The server says nothing of the file when there are no messages.
  return { count, relations: relations.map(({ oid }) => oid), initFile: initFile && count > 0 }
}

function filePath({ tablespace, database, relfilenode }: RelationFile): string {
  if (tablespace === 1664) return `global/${relfilenode}`
  if (tablespace === 1663) return `base/${database}/${relfilenode}`
  return `pg_tblspc/${tablespace}/PG/${database}/${relfilenode}`
}

/** As the server writes it with the time zone UTC. */
function timeText(at: InstantMicros): string {
  const [seconds = '', fraction = ''] = formatInstant(at).replace('T', ' ').replace('Z', '').split('.')
  const shown = fraction.replace(/0+$/, '')
  return `${seconds}${shown ? `.${shown}` : ''}+00`
}

export function blocksText(references: readonly BlockReference[]): string {
  return references
    .map(({ id, file, fork, block, image }) => {
      const { tablespace, database, relfilenode } = file
      return `${id} ${tablespace}/${database}/${relfilenode} ${fork} ${block}${image ? ' image' : ''}`
    })
    .join(', ')
}
