/** The bodies of the small messages, and the few messages that we send. https://www.postgresql.org/docs/current/protocol-message-formats.html */
import { RetakeError } from '../../base/errors.ts'
import type { ServerMessage } from '../connection/errors.ts'

/** Type bytes of the server's messages. */
export const backend = {
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQuery: 0x49, // I
  errorResponse: 0x45, // E
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterStatus: 0x53, // S
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const

export interface ResultSet {
  readonly columns: readonly string[]
  readonly rows: (Buffer | null)[][]
}

/** Fields of an ErrorResponse or NoticeResponse. */
export function decodeServerMessage(body: Buffer): ServerMessage {
  const fields = new Map<string, string>()
  let position = 0
  while (position < body.length && body[position] !== 0) {
    const end = body.indexOf(0, position + 1)
    if (end < 0) break
    fields.set(String.fromCharCode(body[position] ?? 0), body.toString('utf8', position + 1, end))
    position = end + 1
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlState: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
    routine: fields.get('R'),
  }
}

export function decodeColumns(body: Buffer): string[] {
  const columns: string[] = []
  let position = 2
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const end = body.indexOf(0, position)
    if (end < 0) throw protocolError('a row description is cut short')
    columns.push(body.toString('utf8', position, end))
    position = end + 1 + 18
  }
  return columns
}

/** The columns of a DataRow, copied out of the message. */
export function decodeRow(body: Buffer): (Buffer | null)[] {
  const row: (Buffer | null)[] = []
  let position = 2
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(position)
    position += 4
    if (length < 0) row.push(null)
    else {
      if (position + length > body.length) throw protocolError('a row is cut short')
      row.push(Buffer.from(body.subarray(position, position + length)))
      position += length
    }
  }
  return row
}

/** The values of the only row of a result, by column name; undefined for NULL. */
export function singleRow(result: ResultSet | undefined, command: string): (column: string) => string | undefined {
  const row = result?.rows[0]
  if (!result || !row) throw protocolError(`${command} returned no row`)
  return (column) => row[result.columns.indexOf(column)]?.toString('utf8')
}

export function required(value: string | undefined, what: string): string {
  if (value === undefined) throw protocolError(`${what} is missing in the answer`)
  return value
}

export function queryMessage(text: string): Buffer {
  const sql = Buffer.from(text, 'utf8')
  const message = Buffer.alloc(sql.length + 6)
  message[0] = 0x51 // Q
  message.writeUInt32BE(sql.length + 5, 1)
  sql.copy(message, 5)
  return message
}

export function copyDataMessage(bytes: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(bytes.length + 5)
  message[0] = 0x64 // CopyData
  message.writeUInt32BE(bytes.length + 4, 1)
  message.set(bytes, 5)
  return message
}

export function copyDoneMessage(): Buffer {
  return Buffer.from([backend.copyDone, 0, 0, 0, 4])
}

/** Gives a COPY up; the server answers with an error. */
export function copyFailMessage(reason: string): Buffer {
  const text = Buffer.from(`${reason}\0`, 'utf8')
  const message = Buffer.alloc(text.length + 5)
  message[0] = 0x66 // CopyFail
  message.writeUInt32BE(text.length + 4, 1)
  text.copy(message, 5)
  return message
}

/** The number of rows in the tag of a CommandComplete, such as `COPY 12`; undefined when it names none. */
export function rowsOfTag(body: Buffer): number | undefined {
  const match = / (\d+)\0?$/.exec(body.toString('latin1'))
  return match ? Number(match[1]) : undefined
}

export function protocolError(what: string): RetakeError {
  return new RetakeError(
    'postgres.protocol',
    `The server's answer is not what the replication protocol says: ${what}.`,
    {
      hint: 'Check that this is PostgreSQL 15 to 18 and not a pooler or proxy; then report it.',
    },
  )
}
