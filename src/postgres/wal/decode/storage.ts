/**
 * Files, databases, tablespaces, sequences (src/include/catalog/storage_xlog.h, commands/dbcommands_xlog.h, commands/tablespace.h,
 * commands/sequence.h, utils/relmapper.h; alike from 15 to 18).
 */
import type { WalRecordView } from '../record-view.ts'
import { type EventBody, Fields, RELATION_FILE_BYTES, type Unknown } from './fields.ts'

const OPERATION_MASK = 0xf0
const STORAGE = { create: 0x10, truncate: 0x20 } as const
const DATABASE = { createByFiles: 0x00, createByLog: 0x10, drop: 0x20 } as const
const TABLESPACE = { create: 0x00, drop: 0x10 } as const
const TRUNCATED = { main: 0x01, vm: 0x02, fsm: 0x04, known: 0x07 } as const
const LAST_FORK = 3

export function decodeStorage(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  switch (view.info & OPERATION_MASK) {
    case STORAGE.create: {
      if (fields.size !== RELATION_FILE_BYTES + 4 || fields.u32(RELATION_FILE_BYTES) > LAST_FORK) return 'content'
      return { type: 'file-create', file: fields.file(0), fork: fields.u32(RELATION_FILE_BYTES) }
    }
    case STORAGE.truncate: {
      if (fields.size !== 4 + RELATION_FILE_BYTES + 4) return 'content'
      const flags = fields.u32(4 + RELATION_FILE_BYTES)
      if ((flags & ~TRUNCATED.known) !== 0) return 'content'
      const truncates = (flag: number) => (flags & flag) !== 0
      return {
        type: 'file-truncate',
        file: fields.file(4),
        blocks: fields.u32(0),
        forks: { main: truncates(TRUNCATED.main), vm: truncates(TRUNCATED.vm), fsm: truncates(TRUNCATED.fsm) },
      }
    }
    default:
      return 'operation'
  }
}

export function decodeDatabase(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  switch (view.info & OPERATION_MASK) {
    case DATABASE.createByFiles:
      if (fields.size !== 16) return 'content'
      return {
        type: 'database-create',
        oid: fields.u32(0),
        tablespace: fields.u32(4),
        copiedFrom: { oid: fields.u32(8), tablespace: fields.u32(12) },
      }
    case DATABASE.createByLog:
      return fields.size === 8 ? { type: 'database-create', oid: fields.u32(0), tablespace: fields.u32(4) } : 'content'
    case DATABASE.drop: {
      if (fields.size < 8 || fields.fullSize !== 8 + fields.u32(4) * 4) return fields.shortage
      if (fields.size < fields.fullSize) return 'cut'
      const tablespaces = fields.list(8, { count: fields.u32(4), itemBytes: 4 }, (at) => fields.u32(at))
      return { type: 'database-drop', oid: fields.u32(0), tablespaces }
    }
    default:
      return 'operation'
  }
}

export function decodeTablespace(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  switch (view.info & OPERATION_MASK) {
    case TABLESPACE.create: {
      if (fields.size < 5 || fields.u8(fields.size - 1) !== 0) return fields.shortage
      return { type: 'tablespace-create', oid: fields.u32(0), location: fields.text(4, fields.size) }
    }
    case TABLESPACE.drop:
      return fields.size === 4 ? { type: 'tablespace-drop', oid: fields.u32(0) } : 'content'
    default:
      return 'operation'
  }
}

export function decodeRelationMap(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  if ((view.info & OPERATION_MASK) !== 0) return 'operation'
  if (fields.size < 12 || fields.fullSize !== 12 + fields.u32(8)) return fields.shortage
  return { type: 'relation-map', database: fields.u32(0), tablespace: fields.u32(4) }
}

/** The row that a sequence consists of comes behind its file. */
export function decodeSequence(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  if ((view.info & OPERATION_MASK) !== 0) return 'operation'
  return fields.size > RELATION_FILE_BYTES ? { type: 'sequence', file: fields.file(0) } : fields.shortage
}
