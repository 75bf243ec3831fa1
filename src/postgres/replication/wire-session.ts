/**
 * The socket of a replication connection after `pg` has connected, agreed on TLS and logged in. From there on we read the
 * messages ourselves: `pg` would copy every CopyData message and has no back-pressure.
 *
 * Back-pressure: while nobody waits in `read`, the socket is paused after the chunk that arrives; the kernel's buffer fills and
 * the server waits. What is buffered here is bounded by a few chunks.
 */
import type { Socket } from 'node:net'
import type pg from 'pg'
import { abortedError, isRetakeError, RetakeError } from '../../base/errors.ts'
import { type ConnectedClient, socketOf } from '../connection/connect.ts'
import { type ConnectionContext, networkError, type ServerMessage, serverError } from '../connection/errors.ts'
import { endClient } from '../connection/sql.ts'
import { type BackendPiece, MessageReader, type WholeMessage } from './message-reader.ts'
import {
  backend,
  decodeColumns,
  decodeRow,
  decodeServerMessage,
  protocolError,
  queryMessage,
  type ResultSet,
} from './messages.ts'

interface Waiter {
  readonly resolve: (piece: BackendPiece) => void
  readonly reject: (error: RetakeError) => void
}

export class WireSession implements AsyncDisposable {
  readonly context: ConnectionContext
  /** Called with every notice and warning; they come between other messages. */
  onNotice: ((notice: ServerMessage) => void) | undefined
  /** Called when the connection is lost, given up or closed, also while nobody reads. */
  onFailure: (() => void) | undefined
  readonly #client: pg.Client
  readonly #cancel: () => Promise<void>
  #cancelling: Promise<void> | undefined
  readonly #socket: Socket
  readonly #reader = new MessageReader()
  readonly #queue: Buffer[] = []
  #waiter: Waiter | undefined
  #failure: RetakeError | undefined
  #serverSaid: RetakeError | undefined
  #busyWith: string | undefined
  /** Whether the server waits for a command: ReadyForQuery was the last word. */
  #ready = true
  #closed: Promise<void> | undefined
  #lastHeardMs = performance.now()

  /** Takes the socket over; the client must be idle, and must not be used afterwards. */
  constructor({ client, context, cancel }: Omit<ConnectedClient, 'parameters'>) {
    this.#client = client
    this.#cancel = cancel
    this.context = context
    this.#socket = socketOf(client)
    this.#socket.removeAllListeners('data')
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    this.#socket.on('error', (error) => this.#fail(networkError(error, context)))
    this.#socket.on('close', () => this.#fail(lostError(context)))
  }

  /** Milliseconds (monotonic) since when we have been listening in vain; undefined while we ourselves hold the server back. */
  get silentSinceMs(): number | undefined {
    return this.#waiter ? this.#lastHeardMs : undefined
  }

  /** Bytes that are handed to the socket and not yet taken by the kernel. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  send(message: Buffer): void {
    if (!this.#failure && this.#socket.writable) this.#socket.write(message)
  }

  /** Resolves when the socket takes more again, or the connection is lost: who reads next meets the error. */
  drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
  }

  /** The next piece; not a promise when it is already here, so that bulk data costs no turn of the event loop per message. */
  read(): BackendPiece | Promise<BackendPiece> {
    for (;;) {
      const piece = this.#nextPiece()
      if (piece) return piece
      const chunk = this.#queue.shift()
      if (!chunk) break
      this.#reader.push(chunk)
    }
    if (this.#failure) throw this.#failure
    if (this.#waiter) throw new Error('assertion failed: two readers on one replication connection')
    // Silence counts from when we began to listen: what came before was held back by ourselves.
    this.#lastHeardMs = performance.now()
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      if (this.#socket.isPaused()) this.#socket.resume()
    })
  }

  /** The next message that is not CopyData. */
  async readMessage(): Promise<WholeMessage> {
    const piece = await this.read()
    if (piece.kind === 'message') return piece
    throw protocolError('copy data where none was expected')
  }

  /** Sends a command; its answer is to be read to ReadyForQuery. */
  command(text: string): void {
    this.#ready = false
    this.send(queryMessage(text))
  }

  /**
   * Runs one short command of the simple query protocol and returns its result sets.
   * @throws RetakeError as the server's error maps; the session stays usable after an ERROR
   */
  async query(text: string): Promise<ResultSet[]> {
    using _busy = this.occupy(text.split(' ', 1)[0] ?? 'query')
    using _deadline = this.deadline()
    this.command(text)
    return await this.readResults()
  }

  /** Until disposed: a server that does not answer in a minute counts as gone. TCP alone may take a quarter of an hour to notice. */
  deadline(): Disposable {
    const timer = setTimeout(() => this.break(silentError(this.context)), ANSWER_TIMEOUT_MS)
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  }

  /** Reads result sets up to ReadyForQuery; `first` is a message that was already read. */
  async readResults(first?: WholeMessage): Promise<ResultSet[]> {
    const results: ResultSet[] = []
    let failure: RetakeError | undefined
    for (let next = first; ; next = undefined) {
      const { code, body } = next ?? (await this.readMessage())
      if (code === backend.rowDescription) results.push({ columns: decodeColumns(body), rows: [] })
      else if (code === backend.dataRow) results.at(-1)?.rows.push(decodeRow(body))
      else if (code === backend.errorResponse) failure = this.toError(body)
      else if (code === backend.readyForQuery) break
      else if (code !== backend.commandComplete && code !== backend.emptyQuery) throw unexpected(code)
    }
    if (failure) throw failure
    return results
  }

  /** One result set, up to its CommandComplete; an error of the server is thrown. */
  async readOneResult(): Promise<ResultSet> {
    let result: ResultSet | undefined
    for (;;) {
      const { code, body } = await this.readMessage()
      if (code === backend.rowDescription) result = { columns: decodeColumns(body), rows: [] }
      else if (code === backend.dataRow) result?.rows.push(decodeRow(body))
      else if (code === backend.errorResponse) throw await this.finishError(body)
      else if (code === backend.commandComplete && result) return result
      else throw unexpected(code)
    }
  }

  /** Maps an ErrorResponse, having read on to ReadyForQuery so that the session can be used again. */
  async finishError(body: Buffer): Promise<RetakeError> {
    const error = this.toError(body)
    try {
      for (;;) {
        const piece = await this.read()
        if (piece.kind === 'message' && piece.code === backend.readyForQuery) break
      }
    } catch {
      // After a FATAL the server closes; what it said before is the error that counts.
    }
    return error
  }

  toError(body: Buffer): RetakeError {
    const message = decodeServerMessage(body)
    const error = serverError(message, this.context)
    // After these the server closes, and what it said explains the closing.
    if (message.severity === 'FATAL' || message.severity === 'PANIC') this.#serverSaid = error
    return error
  }

  /**
   * Marks the session as used by one command until the result is disposed. A command that is left in the middle (its caller
   * failed) takes the connection with it: reading the rest only to forget it would load the server for nothing.
   */
  occupy(command: string): Disposable {
    if (this.#busyWith)
      throw new Error(`assertion failed: ${command} while ${this.#busyWith} is running on this connection`)
    this.#busyWith = command
    return {
      [Symbol.dispose]: () => {
        this.#busyWith = undefined
        if (!this.#ready) this.break(abandonedError(command))
      },
    }
  }

  /**
   * From now on the signal breaks the connection: a command that streams cannot be taken back in another way.
   * @param options `cancel`: the command may be waiting for something that keeps the server from noticing, so it is told
   */
  breakOn(signal: AbortSignal | undefined, { cancel = false }: { readonly cancel?: boolean } = {}): Disposable {
    const onAbort = () => {
      if (cancel) this.#cancelling ??= this.#cancel()
      this.break(isRetakeError(signal?.reason) ? signal.reason : abortedError(signal?.reason))
    }
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
    return { [Symbol.dispose]: () => signal?.removeEventListener('abort', onAbort) }
  }

  /** Gives the connection up with this error; what was received and not yet read is dropped. */
  break(error: RetakeError): void {
    this.#queue.length = 0
    this.#reader.push(Buffer.alloc(0))
    this.#fail(error)
    this.#socket.destroy()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#fail(new RetakeError('postgres.connection-lost', 'The replication connection was closed.'))
    // In the middle of a command there may be any amount still to come: do not wait for it.
    if (this.#busyWith) this.#socket.destroy()
    this.#socket.resume()
    await endClient(this.#client)
    await this.#cancelling
  }

  #receive(chunk: Buffer): void {
    this.#lastHeardMs = performance.now()
    if (this.#closed) return
    const waiter = this.#waiter
    if (!waiter) {
      this.#queue.push(chunk)
      this.#socket.pause()
      return
    }
    try {
      this.#reader.push(chunk)
      const piece = this.#nextPiece()
      if (!piece) return
      this.#waiter = undefined
      waiter.resolve(piece)
    } catch (error) {
      this.break(networkError(error, this.context))
    }
  }

  /** The next piece that is for a command; what the server says at any time is taken out. */
  #nextPiece(): BackendPiece | undefined {
    for (;;) {
      const piece = this.#reader.next()
      if (!piece || piece.kind === 'copy') return piece
      if (piece.code === backend.readyForQuery) this.#ready = true
      if (piece.code === backend.noticeResponse) this.onNotice?.(decodeServerMessage(piece.body))
      else if (piece.code !== backend.parameterStatus && piece.code !== backend.notificationResponse) return piece
    }
  }

  #fail(error: RetakeError): void {
    this.#failure ??= this.#serverSaid && error.code === 'postgres.connection-lost' ? this.#serverSaid : error
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.reject(this.#failure)
    this.onFailure?.()
  }
}

const ANSWER_TIMEOUT_MS = 60_000

export function unexpected(code: number): RetakeError {
  return protocolError(`message "${String.fromCharCode(code)}" where it is not allowed`)
}

function lostError({ display }: ConnectionContext): RetakeError {
  return new RetakeError('postgres.connection-lost', `The server ${display} closed the connection.`, {
    hint: 'Try again; if it repeats, look at the log of the server.',
    details: { server: display },
  })
}

function silentError({ display }: ConnectionContext): RetakeError {
  return new RetakeError(
    'postgres.connection-lost',
    `The server ${display} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s.`,
    {
      hint: 'Check the network and the load of the server, then try again.',
      details: { server: display },
    },
  )
}

function abandonedError(command: string): RetakeError {
  return new RetakeError('postgres.connection-lost', `${command} was left before its end, and the connection with it.`)
}
