/**
 * SQL and COPY over one connection, in one transaction where wanted. Rows go through piece by piece, in both directions held back by
 * whoever is slower. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import { throwIfAborted } from '../../base/abort.ts'
import type { ConnectionTarget } from '../connection/config.ts'
import { connect } from '../connection/connect.ts'
import type { ConnectOptions } from '../connection/connect-options.ts'
import { backend, copyDataMessage, copyDoneMessage, copyFailMessage, protocolError, rowsOfTag } from './messages.ts'
import { WireSession } from './wire-session.ts'

export type TextRow = Readonly<Record<string, string | null>>

/** Rows that are being copied out; how many there were is known when the last piece was taken. */
export interface CopyOut {
  readonly pieces: AsyncIterable<Uint8Array>
  readonly rows: () => number
}

const PIECE_BYTES = 256 * 1024

export class CopySession implements AsyncDisposable {
  readonly #wire: WireSession
  readonly #signal: AbortSignal | undefined

  private constructor(wire: WireSession, signal: AbortSignal | undefined) {
    this.#wire = wire
    this.#signal = signal
  }

  /** @throws RetakeError as `openSql` */
  static async open(target: ConnectionTarget, options: Omit<ConnectOptions, 'replication'> = {}): Promise<CopySession> {
    return new CopySession(new WireSession(await connect(target, options)), options.signal)
  }

  /** One or several statements; the rows of the last, as text. There is no time limit: an index may take long. */
  async query(text: string): Promise<TextRow[]> {
    using _busy = this.#wire.occupy('query')
    using _abort = this.#wire.breakOn(this.#signal, { cancel: true })
    this.#wire.command(text)
    const result = (await this.#wire.readResults()).at(-1)
    return (result?.rows ?? []).map((row) =>
      Object.fromEntries(row.map((value, at) => [result?.columns[at] ?? '', value?.toString('utf8') ?? null])),
    )
  }

  /** `COPY … TO STDOUT`. A piece, of many rows, is valid until the next one is taken. */
  copyOut(command: string): CopyOut {
    let rows = 0
    return { rows: () => rows, pieces: this.#copyOut(command, (count) => (rows = count)) }
  }

  async *#copyOut(command: string, onEnd: (rows: number) => void): AsyncGenerator<Uint8Array> {
    using _busy = this.#wire.occupy('COPY')
    using _abort = this.#wire.breakOn(this.#signal, { cancel: true })
    this.#wire.command(command)
    const gathered = Buffer.allocUnsafe(PIECE_BYTES)
    let length = 0
    for (;;) {
      const piece = await this.#wire.read()
      if (piece.kind === 'copy') {
        // The server sends each row by itself; whoever takes them would do something for every one.
        if (length > 0 && length + piece.bytes.length > gathered.length) {
          yield gathered.subarray(0, length)
          length = 0
        }
        if (piece.bytes.length > gathered.length) yield piece.bytes
        else {
          gathered.set(piece.bytes, length)
          length += piece.bytes.length
        }
      } else if (piece.code === backend.errorResponse) throw await this.#wire.finishError(piece.body)
      else if (piece.code === backend.commandComplete) onEnd(rowsOfTag(piece.body) ?? 0)
      else if (piece.code === backend.readyForQuery) {
        if (length > 0) yield gathered.subarray(0, length)
        return
      } else if (piece.code !== backend.copyOutResponse && piece.code !== backend.copyDone)
        throw protocolError('a message that does not belong to COPY')
    }
  }

  /** `COPY … FROM STDIN`; returns how many rows the server took. When the source fails, the command does. */
  async copyIn(command: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    using _busy = this.#wire.occupy('COPY')
    using _abort = this.#wire.breakOn(this.#signal, { cancel: true })
    this.#wire.command(command)
    const first = await this.#wire.readMessage()
    if (first.code === backend.errorResponse) throw await this.#wire.finishError(first.body)
    if (first.code !== backend.copyInResponse) throw protocolError('no answer to COPY')
    try {
      for await (const bytes of source) {
        throwIfAborted(this.#signal)
        // A server that has refused the rows reads on and forgets them; its error comes at the end.
        this.#wire.send(copyDataMessage(bytes))
        await this.#wire.drained()
      }
    } catch (error) {
      this.#wire.send(copyFailMessage('the source of the rows failed'))
      await this.#finishCopy().catch(() => {})
      throw error
    }
    this.#wire.send(copyDoneMessage())
    return await this.#finishCopy()
  }

  async #finishCopy(): Promise<number> {
    let rows = 0
    for (;;) {
      const { code, body } = await this.#wire.readMessage()
      if (code === backend.errorResponse) throw await this.#wire.finishError(body)
      if (code === backend.commandComplete) rows = rowsOfTag(body) ?? 0
      if (code === backend.readyForQuery) return rows
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#wire[Symbol.asyncDispose]()
  }
}
