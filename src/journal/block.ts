/**
 * Transactions as they lie in a journal: field by field, each number as its difference from the one before, so that what is alike stands
 * together and packs well. What few transactions have (what they did to whole files, what was prepared) is said in words at the end.
 */
import { RetakeError } from '../base/errors.ts'
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import type { FileChanges, WalTransaction } from '../postgres/wal/transactions/transaction.ts'
import { ColumnReader, ColumnWriter } from './columns.ts'
import { fileKey } from './file-key.ts'
import { readRest, restOf, writeRest } from './rest.ts'

/** One that is over. */
export type JournalTransaction = WalTransaction & {
  readonly outcome: (typeof OUTCOMES)[number]
}

const OUTCOMES = ['committed', 'aborted', 'crashed', 'unknown'] as const
const OUTCOME_MASK = 3
const FLAG = { hasEnd: 4, isFromBegin: 8, isExact: 16, hasRest: 32 } as const
const COUNT = { inserted: 1, updated: 2, deleted: 4, movedAway: 8, newPages: 16 } as const
const IS_TOAST = 32
const COUNTS = Object.entries(COUNT) as readonly (readonly [keyof typeof COUNT, number])[]

/** In this order; each stands in the block with its length before it. */
const COLUMNS = [
  'flags',
  'ends',
  'endBytes',
  'times',
  'xids',
  'firsts',
  'lasts',
  'walBytes',
  'records',
  'subxids',
  'fileCounts',
  'files',
  'masks',
  'rows',
  'dictionary',
  'rest',
] as const
type Column = (typeof COLUMNS)[number]

interface Cursor {
  position: Lsn
  at: InstantMicros
  xid: number
}

/** @param transactions in the order in which they were over */
export function encodeBlock(transactions: readonly JournalTransaction[]): Uint8Array {
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, new ColumnWriter()])) as Record<Column, ColumnWriter>
  const dictionary = new Map<string, number>()
  const cursor: Cursor = { position: 0n as Lsn, at: 0n as InstantMicros, xid: 0 }
  const [first] = transactions
  if (first) Object.assign(cursor, { position: positionOf(first), at: first.end?.at ?? 0n })
  for (const transaction of transactions) {
    encodePlace(columns, transaction, cursor)
    encodeFiles(columns, transaction.files, dictionary)
  }
  const block = new ColumnWriter()
  block.unsigned(transactions.length)
  block.text(first ? positionOf(first).toString(36) : '')
  block.text((first?.end?.at ?? 0n).toString(36))
  for (const name of COLUMNS) {
    block.unsigned(columns[name].length)
    block.bytes(columns[name].written())
  }
  return Uint8Array.from(block.written())
}

/** Where it was over: after the record that ended it, else after its last one. */
export function positionOf({ end, lastLsn }: Pick<WalTransaction, 'end' | 'lastLsn'>): Lsn {
  return end?.endLsn ?? lastLsn
}

function encodePlace(columns: Record<Column, ColumnWriter>, transaction: JournalTransaction, cursor: Cursor): void {
  const { xid, end, outcome, isFromBegin, isExact, firstLsn, lastLsn, walBytes, records, subxids } = transaction
  const position = positionOf(transaction)
  const rest = restOf(transaction)
  columns.flags.unsigned(
    OUTCOMES.indexOf(outcome) |
      (end ? FLAG.hasEnd : 0) |
      (isFromBegin ? FLAG.isFromBegin : 0) |
      (isExact ? FLAG.isExact : 0) |
      (rest ? FLAG.hasRest : 0),
  )
  columns.ends.signed(Number(position - cursor.position))
  cursor.position = position
  if (end) {
    columns.endBytes.unsigned(Number(end.endLsn - end.lsn))
    columns.times.signed(Number(end.at - cursor.at))
    cursor.at = end.at
  }
  columns.xids.signed(xid - cursor.xid)
  cursor.xid = xid
  columns.firsts.unsigned(Number(position - firstLsn))
  columns.lasts.unsigned(Number(position - lastLsn))
  columns.walBytes.unsigned(walBytes)
  columns.records.unsigned(records)
  columns.subxids.unsigned(subxids.length)
  for (const subxid of subxids) columns.subxids.signed(subxid - xid)
  if (rest) writeRest(columns.rest, rest)
}

function encodeFiles(
  columns: Record<Column, ColumnWriter>,
  files: readonly FileChanges[],
  dictionary: Map<string, number>,
): void {
  columns.fileCounts.unsigned(files.length)
  for (const { file, isToast, ...counts } of files) {
    const { tablespace, database, relfilenode } = file
    const key = fileKey(file)
    let place = dictionary.get(key)
    if (place === undefined) {
      place = dictionary.size
      dictionary.set(key, place)
      for (const part of [tablespace, database, relfilenode]) columns.dictionary.unsigned(part)
    }
    columns.files.unsigned(place)
    let mask = isToast ? IS_TOAST : 0
    for (const [name, bit] of COUNTS) {
      if (counts[name] === 0) continue
      mask |= bit
      // One that took back more than it made counts below zero.
      columns.rows.signed(counts[name])
    }
    columns.masks.unsigned(mask)
  }
}

/** @throws RetakeError `repo.damaged` when it is no block */
export function decodeBlock(bytes: Uint8Array): JournalTransaction[] {
  const block = new ColumnReader(bytes)
  const count = block.unsigned()
  const cursor: Cursor = { position: big(block.text()) as Lsn, at: big(block.text()) as InstantMicros, xid: 0 }
  const columns = Object.fromEntries(
    COLUMNS.map((name) => [name, new ColumnReader(block.bytes(block.unsigned()))]),
  ) as Record<Column, ColumnReader>
  const dictionary: RelationFile[] = []
  while (!columns.dictionary.isAtEnd) {
    const [tablespace, database, relfilenode] = [0, 0, 0].map(() => columns.dictionary.unsigned()) as [
      number,
      number,
      number,
    ]
    dictionary.push({ tablespace, database, relfilenode })
  }
  const transactions: JournalTransaction[] = []
  // Counted by what is there: a number that is wrong must not take memory.
  while (!columns.flags.isAtEnd) transactions.push(decodeOne(columns, dictionary, cursor))
  if (transactions.length !== count || COLUMNS.some((name) => !columns[name].isAtEnd) || !block.isAtEnd) throw noBlock()
  return transactions
}

function decodeOne(
  columns: Record<Column, ColumnReader>,
  dictionary: readonly RelationFile[],
  cursor: Cursor,
): JournalTransaction {
  const flags = columns.flags.unsigned()
  const position = (cursor.position + BigInt(columns.ends.signed())) as Lsn
  cursor.position = position
  const end = (flags & FLAG.hasEnd) === 0 ? undefined : decodeEnd(columns, cursor)
  const xid = cursor.xid + columns.xids.signed()
  cursor.xid = xid
  const firstLsn = (position - BigInt(columns.firsts.unsigned())) as Lsn
  const lastLsn = (position - BigInt(columns.lasts.unsigned())) as Lsn
  const walBytes = columns.walBytes.unsigned()
  const records = columns.records.unsigned()
  const subxids: number[] = []
  for (let left = columns.subxids.unsigned(); left > 0; left--) subxids.push(xid + columns.subxids.signed())
  return {
    ...{
      xid,
      subxids,
      outcome: OUTCOMES[flags & OUTCOME_MASK] ?? 'unknown',
      end,
      firstLsn,
      lastLsn,
      walBytes,
      records,
    },
    isFromBegin: (flags & FLAG.isFromBegin) !== 0,
    isExact: (flags & FLAG.isExact) !== 0,
    files: decodeFiles(columns, dictionary),
    ...readRest((flags & FLAG.hasRest) === 0 ? undefined : columns.rest),
  }
}

function decodeEnd(columns: Record<Column, ColumnReader>, cursor: Cursor): NonNullable<WalTransaction['end']> {
  const lsn = (cursor.position - BigInt(columns.endBytes.unsigned())) as Lsn
  cursor.at = (cursor.at + BigInt(columns.times.signed())) as InstantMicros
  return { lsn, endLsn: cursor.position, at: cursor.at }
}

function decodeFiles(columns: Record<Column, ColumnReader>, dictionary: readonly RelationFile[]): FileChanges[] {
  const files: FileChanges[] = []
  for (let left = columns.fileCounts.unsigned(); left > 0; left--) {
    const file = dictionary[columns.files.unsigned()]
    if (!file) throw noBlock()
    const mask = columns.masks.unsigned()
    const count = (bit: number) => ((mask & bit) === 0 ? 0 : columns.rows.signed())
    files.push({
      file,
      inserted: count(COUNT.inserted),
      updated: count(COUNT.updated),
      deleted: count(COUNT.deleted),
      movedAway: count(COUNT.movedAway),
      newPages: count(COUNT.newPages),
      isToast: (mask & IS_TOAST) !== 0,
    })
  }
  return files
}

function big(text: string): bigint {
  let value = 0n
  for (const letter of text) {
    const digit = Number.parseInt(letter, 36)
    if (Number.isNaN(digit)) throw noBlock()
    value = value * 36n + BigInt(digit)
  }
  return value
}

function noBlock(): RetakeError {
  return new RetakeError('repo.damaged', 'A block of the journal is not what it must be.', {
    hint: 'It is made of the WAL, and can be made again: retake journal update --rebuild',
  })
}
