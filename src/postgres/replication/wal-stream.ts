/**
 * START_REPLICATION PHYSICAL: WAL as the server writes it.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION
 *
 * - Positions are reported only as the caller states them: a flush position means durable bytes (R1).
 * - Status is sent by a timer of its own, so a slow handler or a paused socket does not make the server give us up.
 * - Silence counts only while we are listening: back-pressure of our own is not death of the server.
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import { RetakeError } from '../../base/errors.ts'
import { instantFromDate } from '../../base/instant.ts'
import { formatLsn, type Lsn, parseLsn, ZERO_LSN } from '../lsn.ts'
import { type ReplicationConnection, slotName } from './connection.ts'
import type { WholeMessage } from './message-reader.ts'
import { backend, copyDoneMessage, protocolError, type ResultSet, required, singleRow } from './messages.ts'
import { parseDurationMs, statusMessage, WalMessageReader, type WalStreamEvent } from './wal-messages.ts'
import { unexpected, type WireSession } from './wire-session.ts'

export type WalStreamEnd =
  | { readonly reason: 'timeline-end'; readonly nextTimeline: number; readonly switchLsn: Lsn }
  | { readonly reason: 'stopped' }

export interface WalStreamOptions {
  /** The permanent slot that holds WAL for us. Without one the server may remove WAL at any time. */
  readonly slot?: string | undefined
  readonly timeline: number
  readonly startLsn: Lsn
  /** Breaks the connection; `run` then throws `aborted`. For an orderly end use `stop`. */
  readonly signal?: AbortSignal | undefined
  /** How often the server hears of us. Default 10 s; never more than a quarter of its wal_sender_timeout. */
  readonly statusIntervalMs?: number | undefined
  readonly clock?: Clock | undefined
}

export interface WalStream extends AsyncDisposable {
  /**
   * Hands over events one at a time until the timeline ends on the server or `stop` is called. A promise returned by the handler
   * holds the socket back; status goes on being sent meanwhile. What the handler throws ends the stream and is thrown from here.
   *
   * @throws RetakeError `wal.gap` (with `details.segment`), `wal.diverged`, `postgres.slot`, `postgres.connection-lost`, `aborted`
   */
  run(handler: (event: WalStreamEvent) => void | Promise<void>): Promise<WalStreamEnd>
  /**
   * What the next status says. `now` sends it at once (a synchronous commit waits for it); `requestReply` asks the server for a
   * keepalive, which tells its present end of WAL.
   */
  report(
    position: { readonly writeLsn: Lsn; readonly flushLsn: Lsn },
    options?: { readonly now?: boolean; readonly requestReply?: boolean },
  ): void
  /**
   * Ends streaming in an orderly way and waits for the server and for `run`; later WAL is not handed over.
   * Do not await it inside the handler, which `run` itself awaits.
   */
  stop(): Promise<void>
}

const DEFAULT_STATUS_INTERVAL_MS = 10_000
const STOP_TIMEOUT_MS = 2000
/** A server that does not read does not need more of the same status. */
const MAX_UNSENT_BYTES = 64 * 1024

/**
 * Starts streaming at a position, which must lie on the given timeline.
 *
 * @throws RetakeError `postgres.slot` (details: `active`, `missing` or `lost`), `wal.gap`, `wal.diverged`
 */
export async function startPhysicalStream(
  connection: ReplicationConnection,
  options: WalStreamOptions,
): Promise<WalStream> {
  const { wire } = connection
  const senderTimeoutMs = parseDurationMs(await connection.show('wal_sender_timeout'))
  const occupation = wire.occupy('START_REPLICATION')
  const breaker = wire.breakOn(options.signal)
  const release = () => {
    breaker[Symbol.dispose]()
    occupation[Symbol.dispose]()
  }
  try {
    const slot = options.slot === undefined ? '' : `SLOT ${slotName(options.slot)} `
    using _deadline = wire.deadline()
    wire.command(
      `START_REPLICATION ${slot}PHYSICAL ${formatLsn(options.startLsn)} TIMELINE ${Math.trunc(options.timeline)}`,
    )
    const answer = await wire.readMessage()
    if (answer.code === backend.errorResponse) throw await wire.finishError(answer.body)
    // Where nothing is left on the timeline, the server answers with its end at once instead of streaming.
    const ended = answer.code === backend.rowDescription ? timelineEnd(await wire.readResults(answer)) : undefined
    if (!ended && answer.code !== backend.copyBothResponse) throw unexpected(answer.code)
    return new PhysicalStream(wire, { options, senderTimeoutMs, release, ended })
  } catch (error) {
    release()
    throw error
  }
}

/** How often to send status, and after how much silence the server counts as gone (undefined: never). */
export function computeStreamTimings(
  senderTimeoutMs: number,
  statusIntervalMs: number | undefined,
): { readonly statusIntervalMs: number; readonly silenceLimitMs: number | undefined } {
  const wanted = statusIntervalMs ?? DEFAULT_STATUS_INTERVAL_MS
  if (senderTimeoutMs <= 0) return { statusIntervalMs: wanted, silenceLimitMs: undefined }
  return { statusIntervalMs: Math.max(1, Math.min(wanted, senderTimeoutMs / 4)), silenceLimitMs: senderTimeoutMs * 2 }
}

interface StreamSetup {
  readonly options: WalStreamOptions
  readonly senderTimeoutMs: number
  readonly release: () => void
  readonly ended: WalStreamEnd | undefined
}

class PhysicalStream implements WalStream {
  readonly #wire: WireSession
  readonly #clock: Clock
  readonly #messages: WalMessageReader
  readonly #setup: StreamSetup
  readonly #silenceLimitMs: number | undefined
  readonly #finished = Promise.withResolvers<void>()
  #timer: NodeJS.Timeout | undefined
  #position = { writeLsn: ZERO_LSN, flushLsn: ZERO_LSN }
  #running = false
  #stopping = false
  #over = false

  constructor(wire: WireSession, setup: StreamSetup) {
    this.#wire = wire
    this.#setup = setup
    this.#clock = setup.options.clock ?? systemClock
    this.#messages = new WalMessageReader(setup.options.startLsn)
    const timings = computeStreamTimings(setup.senderTimeoutMs, setup.options.statusIntervalMs)
    this.#silenceLimitMs = timings.silenceLimitMs
    if (setup.ended) return
    this.#timer = setInterval(() => this.#tick(), timings.statusIntervalMs)
    // The timer must not outlive a connection that is disposed of without this stream.
    wire.onFailure = () => clearInterval(this.#timer)
  }

  async run(handler: (event: WalStreamEvent) => void | Promise<void>): Promise<WalStreamEnd> {
    if (this.#running) throw new Error('assertion failed: a WAL stream runs once')
    this.#running = true
    if (!this.#stopping) return await this.#consume(handler)
    await this.stop()
    return { reason: 'stopped' }
  }

  report(
    position: { readonly writeLsn: Lsn; readonly flushLsn: Lsn },
    options: { readonly now?: boolean; readonly requestReply?: boolean } = {},
  ): void {
    this.#position = { writeLsn: position.writeLsn, flushLsn: position.flushLsn }
    if (options.now || options.requestReply) this.#sendStatus(options.requestReply === true)
  }

  async stop(): Promise<void> {
    if (this.#over) return
    if (!this.#stopping) {
      this.#stopping = true
      if (!this.#setup.ended) {
        this.#sendStatus(false)
        this.#wire.send(copyDoneMessage())
      }
      // Nobody reads yet, so the server's last words are read here.
      if (!this.#running) await this.#consume(() => {})
    }
    // Whatever ended the stream is thrown from `run`; here it only matters that it has ended.
    await this.#finished.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return
    const limit = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#wire.break(stoppedError())
      limit.resolve()
    }, STOP_TIMEOUT_MS)
    try {
      await Promise.race([this.stop(), limit.promise])
    } catch {
      // The stream was given up; that it ended badly is of no interest any more.
    } finally {
      clearTimeout(timer)
    }
  }

  async #consume(handler: (event: WalStreamEvent) => void | Promise<void>): Promise<WalStreamEnd> {
    try {
      return this.#setup.ended ?? (await this.#stream(handler))
    } finally {
      this.#finish()
    }
  }

  async #stream(handler: (event: WalStreamEvent) => void | Promise<void>): Promise<WalStreamEnd> {
    for (;;) {
      const next = this.#wire.read()
      const piece = next instanceof Promise ? await next : next
      if (piece.kind === 'message') return await this.#end(piece)
      const event = this.#messages.take(piece)
      if (!event || this.#stopping) continue
      if (event.type === 'keepalive' && event.replyRequested) this.#sendStatus(false)
      const held = handler(event)
      if (held) await held
    }
  }

  async #end({ code, body }: WholeMessage): Promise<WalStreamEnd> {
    if (code === backend.errorResponse) throw await this.#wire.finishError(body)
    // A server that shuts down has sent all it had, and completes the command without ending the copy.
    if (code === backend.commandComplete) throw shutdownError(this.#wire.context.display)
    if (code !== backend.copyDone) throw unexpected(code)
    const asked = this.#stopping
    if (!asked) {
      this.#stopping = true
      this.#sendStatus(false)
      this.#wire.send(copyDoneMessage())
    }
    const results = await this.#wire.readResults(await this.#firstAfterCopy())
    return asked ? { reason: 'stopped' } : timelineEnd(results)
  }

  /** Between its CopyDone and its results the server may still answer a question that was under way. */
  async #firstAfterCopy(): Promise<WholeMessage> {
    for (;;) {
      const piece = await this.#wire.read()
      if (piece.kind === 'message') return piece
    }
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    clearInterval(this.#timer)
    this.#wire.onFailure = undefined
    this.#setup.release()
    this.#finished.resolve()
  }

  /** Asks for an answer each time: an idle server says nothing otherwise, and its answer also tells how far its WAL has come. */
  #tick(): void {
    // Where this process itself was held up, timers come before the socket: look again once the socket was read.
    if (this.#isSilent()) setImmediate(() => this.#giveUpIfSilent())
    if (!this.#stopping) this.#sendStatus(true)
  }

  #isSilent(): boolean {
    const since = this.#wire.silentSinceMs
    return this.#silenceLimitMs !== undefined && since !== undefined && performance.now() - since > this.#silenceLimitMs
  }

  #giveUpIfSilent(): void {
    if (this.#over || !this.#isSilent()) return
    this.#wire.break(silentError(this.#wire.context.display, this.#silenceLimitMs ?? 0))
  }

  #sendStatus(replyRequested: boolean): void {
    if (this.#over || this.#wire.unsentBytes > MAX_UNSENT_BYTES) return
    this.#wire.send(statusMessage({ ...this.#position, at: instantFromDate(this.#clock.now()), replyRequested }))
  }
}

function timelineEnd(results: readonly ResultSet[]): WalStreamEnd {
  const value = singleRow(results[0], 'START_REPLICATION')
  const nextTimeline = Number(required(value('next_tli'), 'next_tli'))
  if (!Number.isInteger(nextTimeline) || nextTimeline < 1) throw protocolError('the next timeline is not a number')
  return {
    reason: 'timeline-end',
    nextTimeline,
    switchLsn: parseLsn(required(value('next_tli_startpos'), 'next_tli_startpos')),
  }
}

function shutdownError(display: string): RetakeError {
  return new RetakeError(
    'postgres.connection-lost',
    `The server ${display} is shutting down and has ended the stream.`,
    {
      hint: 'Connect again when it runs; the slot holds the WAL that follows.',
      details: { server: display, shutdown: true },
    },
  )
}

function silentError(display: string, limitMs: number): RetakeError {
  return new RetakeError(
    'postgres.connection-lost',
    `Nothing was heard from ${display} for ${Math.round(limitMs / 1000)} s, so the connection is taken for dead.`,
    {
      hint: 'Connect again; the slot holds the WAL that follows.',
      details: { server: display, silenceLimitMs: limitMs },
    },
  )
}

function stoppedError(): RetakeError {
  return new RetakeError('postgres.connection-lost', 'The WAL stream was given up: the server did not end it in time.')
}
