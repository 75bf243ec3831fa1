/** Rows into a table through COPY's text format, piece by piece, held back by the socket. https://www.postgresql.org/docs/current/sql-copy.html */
import type { Socket } from 'node:net'
import type pg from 'pg'

export type CopyValue = string | number | bigint | boolean | null

/** The parts of pg's low-level connection that COPY needs; pg does not publish their types. */
interface CopyConnection {
  readonly stream: Socket
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

const CHUNK_CHARACTERS = 128 * 1024
const HIGH_WATER_BYTES = 1024 * 1024

/** Copies `rows` into `table` (which, with the columns, is our own text and never a user's); returns how many were written. */
export async function copyRows(
  client: pg.Client,
  into: { readonly table: string; readonly columns: readonly string[] },
  rows: Iterable<readonly CopyValue[]>,
): Promise<number> {
  const command = `copy ${into.table} (${into.columns.map((name) => `"${name}"`).join(', ')}) from stdin`
  const copy = new CopyIn(command)
  client.query(copy)
  const connection = await copy.ready
  let written = 0
  try {
    let chunk = ''
    for (const row of rows) {
      chunk += encodeCopyRow(row)
      written += 1
      if (chunk.length < CHUNK_CHARACTERS) continue
      connection.sendCopyFromChunk(Buffer.from(chunk))
      chunk = ''
      if (connection.stream.writableLength > HIGH_WATER_BYTES) await copy.drained(connection.stream)
    }
    if (chunk !== '') connection.sendCopyFromChunk(Buffer.from(chunk))
    connection.endCopyFrom()
  } catch (error) {
    connection.sendCopyFail('the source of the rows failed')
    await copy.finished.catch(() => {})
    throw error
  }
  await copy.finished
  return written
}

export function encodeCopyRow(row: readonly CopyValue[]): string {
  let line = ''
  for (let i = 0; i < row.length; i++) {
    if (i > 0) line += '\t'
    const value = row[i]
    line +=
      value === null || value === undefined ? '\\N' : typeof value === 'string' ? escapeText(value) : String(value)
  }
  return `${line}\n`
}

/** `{a,"b c"}`: an array literal, before {@link encodeCopyRow} escapes it. */
export function textArray(values: readonly string[]): string {
  return `{${values.map((value) => (/^[\w-]+$/.test(value) && value.toLowerCase() !== 'null' ? value : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
}

const SPECIAL = /[\\\n\r\t]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeText(value: string): string {
  return SPECIAL.test(value) ? value.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] as string) : value
}

/** What pg calls a submittable: it is given the connection when its turn comes, and the server's answers. */
class CopyIn {
  readonly ready: Promise<CopyConnection>
  readonly finished: Promise<void>
  readonly #command: string
  readonly #accept: (connection: CopyConnection) => void
  readonly #refuse: (error: Error) => void
  readonly #done: () => void
  readonly #fail: (error: Error) => void
  #wake: (() => void) | undefined
  #failed = false

  constructor(command: string) {
    this.#command = command
    const ready = Promise.withResolvers<CopyConnection>()
    const finished = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.finished = finished.promise
    this.#accept = ready.resolve
    this.#refuse = ready.reject
    this.#done = finished.resolve
    this.#fail = finished.reject
    // Whichever of the two is awaited reports the error; the other must not count as unhandled.
    this.finished.catch(() => {})
    this.ready.catch(() => {})
  }

  submit(connection: unknown): void {
    ;(connection as CopyConnection).query(this.#command)
  }

  handleCopyInResponse(connection: unknown): void {
    this.#accept(connection as CopyConnection)
  }

  /** Resolves when the socket has room again, or the server refused the data: the caller then meets the error at the end. */
  drained(stream: Socket): Promise<void> {
    if (this.#failed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = () => {
        stream.off('drain', wake)
        this.#wake = undefined
        resolve()
      }
      const wake = () => this.#wake?.()
      stream.once('drain', wake)
    })
  }

  handleError(error: Error): void {
    this.#failed = true
    this.#refuse(error)
    this.#fail(error)
    this.#wake?.()
  }

  handleReadyForQuery(): void {
    this.#done()
  }

  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}
