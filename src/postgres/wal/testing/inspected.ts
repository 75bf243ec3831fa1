/** What `pg_walinspect` and `pg_waldump` print of a record, in the shape of `event-facts.ts`. */
import type { WalEvent } from '../decode/event.ts'

/** Ours, by `resource manager/kind` as PostgreSQL names them; every other kind is `other`. */
const TYPES: Readonly<Record<string, WalEvent['type']>> = {
  'XLOG/CHECKPOINT_SHUTDOWN': 'checkpoint',
  'XLOG/CHECKPOINT_ONLINE': 'checkpoint',
  'XLOG/NOOP': 'no-operation',
  'XLOG/NEXTOID': 'next-oid',
  'XLOG/SWITCH': 'switch',
  'XLOG/BACKUP_END': 'backup-end',
  'XLOG/PARAMETER_CHANGE': 'parameter-change',
  'XLOG/RESTORE_POINT': 'restore-point',
  'XLOG/FPW_CHANGE': 'full-page-writes',
  'XLOG/END_OF_RECOVERY': 'end-of-recovery',
  'XLOG/FPI': 'page-images',
  'XLOG/FPI_FOR_HINT': 'page-images',
  'XLOG/OVERWRITE_CONTRECORD': 'abandoned-record',
  'XLOG/CHECKPOINT_REDO': 'checkpoint-redo',
  'Transaction/COMMIT': 'commit',
  'Transaction/ABORT': 'abort',
  'Transaction/PREPARE': 'prepare',
  'Transaction/COMMIT_PREPARED': 'commit-prepared',
  'Transaction/ABORT_PREPARED': 'abort-prepared',
  'Transaction/ASSIGNMENT': 'assignment',
  'Transaction/INVALIDATION': 'invalidations',
  'Standby/INVALIDATIONS': 'invalidations',
  'Standby/LOCK': 'exclusive-locks',
  'Standby/RUNNING_XACTS': 'running-transactions',
  'Storage/CREATE': 'file-create',
  'Storage/TRUNCATE': 'file-truncate',
  'Database/CREATE_FILE_COPY': 'database-create',
  'Database/CREATE_WAL_LOG': 'database-create',
  'Database/DROP': 'database-drop',
  'Tablespace/CREATE': 'tablespace-create',
  'Tablespace/DROP': 'tablespace-drop',
  'RelMap/UPDATE': 'relation-map',
  'Sequence/LOG': 'sequence',
  'LogicalMessage/MESSAGE': 'message',
  'Heap/INSERT': 'insert',
  'Heap/DELETE': 'delete',
  'Heap/UPDATE': 'update',
  'Heap/HOT_UPDATE': 'update',
  'Heap/TRUNCATE': 'truncate',
  'Heap/HEAP_CONFIRM': 'confirm',
  'Heap/LOCK': 'lock',
  'Heap/INPLACE': 'in-place-update',
  'Heap2/MULTI_INSERT': 'multi-insert',
}

export function inspectedType(manager: string, kind: string): WalEvent['type'] {
  return TYPES[`${manager}/${kind.replace('+INIT', '')}`] ?? 'other'
}

export const decodedTypes: ReadonlySet<string> = new Set(Object.values(TYPES))

export type Facts = Readonly<Record<string, unknown>>

const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1])
const flagsOf = (text: string) => Number.parseInt(/flags:? 0x([0-9A-F]+)/.exec(text)?.[1] ?? '', 16)
const offset = (text: string) => number(text, /off:? (\d+)/)
const numbers = (text: string | undefined) => (text ?? '').match(/\d+/g)?.map(Number) ?? []
/** The directory of a tablespace is named after the version of its catalogs. */
const path = (text: string) => text.replace(/PG_\d+_\d+/, 'PG')
const PATH = String.raw`(?:base|global|pg_tblspc)\/[^\s;]+`

function oldTuple(flags: number, bits: readonly [whole: number, key: number]): string {
  return flags & bits[0] ? 'whole' : flags & bits[1] ? 'key' : 'none'
}

/** What the server says of a record of this type, as far as we decode it. */
export function inspectedFacts(type: WalEvent['type'], kind: string, text: string): Facts {
  return rowFacts(type, kind, text) ?? fileFacts(type, text) ?? sessionFacts(type, text) ?? logFacts(type, text) ?? {}
}

function rowFacts(type: WalEvent['type'], kind: string, text: string): Facts | undefined {
  const flags = flagsOf(text)
  switch (type) {
    case 'insert':
      return { offset: offset(text), isSpeculative: (flags & 4) !== 0, isToast: (flags & 16) !== 0 }
    case 'multi-insert': {
      const rows = number(text, /ntuples: (\d+)/) || number(text, /(\d+) tuples/)
      const offsets = /offsets: \[(.*?)\]/.exec(text)?.[1]
      return { rows, ...(offsets && { offsets: numbers(offsets) }) }
    }
    case 'update':
      return {
        isHot: kind.startsWith('HOT'),
        oldOffset: number(text, /(?:^|old_)off:? (\d+)/),
        offset: number(text, /new[_ ]off:? (\d+)/),
        oldTuple: oldTuple(flags, [4, 8]),
      }
    case 'delete':
      return {
        offset: offset(text),
        oldTuple: oldTuple(flags, [2, 4]),
        isUndoneInsert: (flags & 8) !== 0,
        isPartitionMove: (flags & 16) !== 0,
      }
    case 'confirm':
    case 'lock':
    case 'in-place-update':
      return { offset: offset(text) }
    case 'truncate':
      return {
        relationOids: numbers(/ relids:?(.*)/.exec(text)?.[1]),
        isCascade: /cascade/i.test(text),
        restartsSequences: /restart_seqs/i.test(text),
      }
    default:
      return undefined
  }
}

function fileFacts(type: WalEvent['type'], text: string): Facts | undefined {
  switch (type) {
    case 'file-create':
      return { path: path(text) }
    case 'file-truncate': {
      const [, file = '', blocks, bits] = /^(\S+) to (\d+) blocks flags (\d+)/.exec(text) ?? []
      return { path: path(file), blocks: Number(blocks), flags: Number(bits) }
    }
    case 'database-create':
    case 'database-drop':
    case 'sequence':
    case 'exclusive-locks':
      return { numbers: numbers(text) }
    case 'relation-map':
      return { numbers: numbers(text).slice(0, 2) }
    case 'tablespace-create':
    case 'tablespace-drop':
    case 'restore-point':
    case 'full-page-writes':
    case 'backup-end':
      return { text }
    default:
      return undefined
  }
}

function sessionFacts(type: WalEvent['type'], text: string): Facts | undefined {
  switch (type) {
    case 'assignment':
      return { numbers: numbers(text) }
    case 'invalidations':
      return { invalidations: inspectedInvalidations(text) }
    case 'message': {
      const [, kindOf, prefix, bytes, hex = ''] =
        /^(\S+), prefix "(.*)"; payload \((\d+) bytes\): (.*)$/s.exec(text) ?? []
      return { isTransactional: kindOf === 'transactional', prefix, bytes: Number(bytes), hex: hex.replaceAll(' ', '') }
    }
    case 'running-transactions':
      return {
        numbers: numbers(/^[^;]*/.exec(text)?.[0]),
        xids: numbers(/ xacts:([ \d]*)/.exec(text)?.[1]),
        isOverflowed: text.includes('subxid overflowed') || text.includes('subxid ovf'),
      }
    case 'prepare':
      return inspectedEnd(text, /^gid (.*?): /)
    case 'commit':
    case 'abort':
    case 'commit-prepared':
    case 'abort-prepared':
      return inspectedEnd(text, /^(\d+): /)
    default:
      return undefined
  }
}

function logFacts(type: WalEvent['type'], text: string): Facts | undefined {
  switch (type) {
    case 'checkpoint':
      return {
        kind: text.endsWith('shutdown') ? 'shutdown' : 'online',
        redo: /redo (\S+);/.exec(text)?.[1],
        timelines: numbers(/tli \d+; prev tli \d+/.exec(text)?.[0]),
        fullPageWrites: text.includes('fpw true'),
        xid: /; xid (\S+);/.exec(text)?.[1],
        nextOid: number(text, /; oid (\d+)/),
        oldestXid: number(text, /oldest xid (\d+)/),
        oldestActiveXid: number(text, /oldest running xid (\d+)/),
      }
    case 'parameter-change':
      return { text }
    case 'abandoned-record':
      return { lsn: /lsn (\S+);/.exec(text)?.[1] }
    case 'end-of-recovery':
      return { timelines: numbers(/tli \d+; prev tli \d+/.exec(text)?.[0]), at: /time (\S+ [^ ;]+)/.exec(text)?.[1] }
    default:
      return undefined
  }
}

function inspectedEnd(text: string, name: RegExp): Facts {
  // pg_waldump says UTC and all six digits, the server +00 and as many as there are.
  const rest = text
    .replace(name, '')
    .replaceAll(' UTC', '+00')
    .replaceAll(/\.?0+\+00/g, '+00')
  const files = (label: string) =>
    (new RegExp(`; ${label}:((?: ${PATH})+)`).exec(rest)?.[1] ?? '').trim().split(' ').filter(Boolean).map(path)
  const origin = /; origin: node (\d+), lsn (\S+), at ([^;]+)/.exec(rest)
  return {
    name: name.exec(text)?.[1],
    at: /^[^;]+/.exec(rest)?.[0],
    files: files('rels'),
    filesOfCommit: files(String.raw`rels\(commit\)`),
    filesOfAbort: files(String.raw`rels\(abort\)`),
    subxids: numbers(/; subxacts:((?: \d+)+)/.exec(rest)?.[1]),
    invalidations: inspectedInvalidations(rest),
    isForcedSync: rest.includes('; sync'),
    origin: origin?.slice(1, 4).join(' '),
  }
}

function inspectedInvalidations(text: string): Facts {
  const messages = /; inval msgs:(.*?)(?:;|$)/.exec(text)?.[1] ?? ''
  return {
    count: messages.match(/catcache|catalog|relcache|smgr|relmap|snapshot|relsync|unrecognized/g)?.length ?? 0,
    relations: [...messages.matchAll(/relcache (\d+)/g)].map((match) => Number(match[1])),
    initFile: text.includes('relcache init file inval'),
  }
}

/** `blkref #0: rel 1663/5/1247 fork main blk 14 (FPW); hole: …`, as short as both `pg_waldump` and `pg_walinspect` say it. */
export function inspectedBlocks(text: string | null): string {
  const pattern = /blkref #(\d+): rel (\d+\/\d+\/\d+)(?: fork (\w+))? blk (\d+)( \(?FPW)?/g
  return [...(text ?? '').matchAll(pattern)]
    .map(([, id, file, fork, block, image]) => `${id} ${file} ${fork ?? 'main'} ${block}${image ? ' image' : ''}`)
    .join(', ')
}
