/**
 * A replication connection (walsender) and its short commands.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ConnectionTarget } from '../connection/config.ts'
import { type ConnectedClient, connect, versionNumber } from '../connection/connect.ts'
import type { ConnectOptions } from '../connection/connect-options.ts'
import { lostSlotError } from '../connection/errors.ts'
import { type Lsn, parseLsn } from '../lsn.ts'
import { protocolError, required, singleRow } from './messages.ts'
import { WireSession } from './wire-session.ts'

/** One command at a time: a second one while the first (or a stream) is running is a mistake of the caller. */
export interface ReplicationConnection extends AsyncDisposable {
  /** Which of `replication=true` (physical) and `replication=database` the server accepted; both serve backups and WAL. */
  readonly mode: 'physical' | 'database'
  /** 170010 for 17.10. */
  readonly serverVersionNum: number
  /** For the streaming commands of this folder. */
  readonly wire: WireSession
  identifySystem(): Promise<SystemIdentity>
  /** The value of a setting, as SHOW prints it. */
  show(name: string): Promise<string>
  /**
   * Creates a permanent slot that reserves WAL from now on. An existing physical slot is fine.
   * @throws RetakeError `postgres.slot` when the name belongs to a logical slot, or to one that holds no WAL
   */
  createPhysicalSlot(name: string): Promise<{ readonly created: boolean }>
  /**
   * From where the slot holds WAL; undefined when there is no such slot.
   * @throws RetakeError `postgres.slot` with `details.lost` when it exists but holds nothing (invalidated, or never reserved)
   */
  readSlot(name: string): Promise<SlotPosition | undefined>
  /** Drops a slot; one that does not exist is fine. @throws RetakeError `postgres.slot` while it is in use */
  dropSlot(name: string): Promise<void>
  /** The history file of a timeline, byte by byte; undefined when the server has none (timeline 1 never has). */
  timelineHistory(timeline: number): Promise<{ readonly name: string; readonly content: Buffer } | undefined>
}

export interface SystemIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly flushLsn: Lsn
}

export interface SlotPosition {
  readonly restartLsn: Lsn
  readonly restartTimeline: number
}

/**
 * Opens a replication connection: `replication=true`, and where pg_hba.conf has no line for that, `replication=database`.
 * The latter is covered by ordinary lines (`host all all`) and serves every command that Retake needs.
 * @throws RetakeError `postgres.unreachable`, `postgres.auth`, `postgres.privilege`, `postgres.tls`, `postgres.unsupported`, `aborted`
 */
export async function openReplication(
  target: ConnectionTarget,
  options: Omit<ConnectOptions, 'replication'> = {},
): Promise<ReplicationConnection> {
  const { mode, connected } = await connectWalsender(target, options)
  const serverVersionNum = versionNumber(connected.parameters.get('server_version'))
  const wire = new WireSession(connected)
  if (serverVersionNum >= OLDEST_VERSION_NUM) return new WalsenderConnection(wire, { mode, serverVersionNum })
  await wire[Symbol.asyncDispose]()
  throw new RetakeError(
    'postgres.unsupported',
    `${target.display} runs PostgreSQL ${Math.floor(serverVersionNum / 10_000)}, which is too old for Retake.`,
    {
      hint: 'Upgrade the server to PostgreSQL 15 or later.',
      details: { serverVersionNum },
    },
  )
}

/** BASE_BACKUP's present grammar and READ_REPLICATION_SLOT came with 15. */
const OLDEST_VERSION_NUM = 150_000

async function connectWalsender(
  target: ConnectionTarget,
  options: Omit<ConnectOptions, 'replication'>,
): Promise<{ readonly mode: 'physical' | 'database'; readonly connected: ConnectedClient }> {
  try {
    return { mode: 'physical', connected: await connect(target, { ...options, replication: 'true' }) }
  } catch (refusal) {
    if (!isRetakeError(refusal, 'postgres.privilege') || refusal.details.hbaLine === undefined) throw refusal
    try {
      return { mode: 'database', connected: await connect(target, { ...options, replication: 'database' }) }
    } catch (error) {
      // Both are refused by pg_hba.conf: the line for physical replication is the narrower permission, so name that one.
      throw isRetakeError(error) && error.details.hbaLine !== undefined ? refusal : error
    }
  }
}

class WalsenderConnection implements ReplicationConnection {
  readonly mode: 'physical' | 'database'
  readonly serverVersionNum: number
  readonly wire: WireSession

  constructor(wire: WireSession, facts: { readonly mode: 'physical' | 'database'; readonly serverVersionNum: number }) {
    this.wire = wire
    this.mode = facts.mode
    this.serverVersionNum = facts.serverVersionNum
  }

  async identifySystem(): Promise<SystemIdentity> {
    const [result] = await this.wire.query('IDENTIFY_SYSTEM')
    const value = singleRow(result, 'IDENTIFY_SYSTEM')
    return {
      systemIdentifier: required(value('systemid'), 'systemid'),
      timeline: Number(required(value('timeline'), 'timeline')),
      flushLsn: parseLsn(required(value('xlogpos'), 'xlogpos')),
    }
  }

  async show(name: string): Promise<string> {
    if (!/^[a-z_][a-z0-9_.]*$/i.test(name)) throw new Error(`assertion failed: "${name}" is not the name of a setting`)
    const [result] = await this.wire.query(`SHOW ${name}`)
    const value = result?.rows[0]?.[0]
    if (!value) throw protocolError(`SHOW ${name} returned no value`)
    return value.toString('utf8')
  }

  async createPhysicalSlot(name: string): Promise<{ readonly created: boolean }> {
    try {
      await this.wire.query(`CREATE_REPLICATION_SLOT ${slotName(name)} PHYSICAL (RESERVE_WAL true)`)
      return { created: true }
    } catch (error) {
      if (!isRetakeError(error) || error.details.sqlState !== '42710') throw error
    }
    // It exists: make sure that it is one that can be used.
    await this.readSlot(name)
    return { created: false }
  }

  async readSlot(name: string): Promise<SlotPosition | undefined> {
    const value = singleRow(await this.#readSlotRow(name), 'READ_REPLICATION_SLOT')
    if (value('slot_type') === undefined) return undefined
    const restartLsn = value('restart_lsn')
    if (restartLsn === undefined) throw lostSlotError(name, this.wire.context)
    return { restartLsn: parseLsn(restartLsn), restartTimeline: Number(required(value('restart_tli'), 'restart_tli')) }
  }

  async #readSlotRow(name: string) {
    try {
      const [result] = await this.wire.query(`READ_REPLICATION_SLOT ${slotName(name)}`)
      return result
    } catch (error) {
      // Its only complaint: the slot is a logical one (0A000 or 55000, by version).
      if (!isRetakeError(error) || !['0A000', '55000'].includes(String(error.details.sqlState))) throw error
      throw new RetakeError(
        'postgres.slot',
        `The replication slot "${name}" is a logical one and cannot carry physical WAL.`,
        {
          hint: 'Choose another slot name for Retake.',
          retry: 'never',
          details: { slot: name, logical: true },
          cause: error,
        },
      )
    }
  }

  async dropSlot(name: string): Promise<void> {
    try {
      await this.wire.query(`DROP_REPLICATION_SLOT ${slotName(name)}`)
    } catch (error) {
      if (!isRetakeError(error, 'postgres.slot') || error.details.missing !== true) throw error
    }
  }

  async timelineHistory(timeline: number): Promise<{ readonly name: string; readonly content: Buffer } | undefined> {
    try {
      const [result] = await this.wire.query(`TIMELINE_HISTORY ${Math.trunc(timeline)}`)
      const [name, content] = result?.rows[0] ?? []
      // The column is declared bytea but, unlike any other, comes as raw bytes: the walsender copies the file out as it is.
      if (!name || !content) throw protocolError('TIMELINE_HISTORY returned no file')
      return { name: name.toString('utf8'), content }
    } catch (error) {
      if (isRetakeError(error) && error.details.sqlState === '58P01') return undefined
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.wire[Symbol.asyncDispose]()
  }
}

/** A slot name, quoted for the replication grammar. @throws RetakeError `config.invalid` */
export function slotName(name: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(name)) return `"${name}"`
  throw new RetakeError('config.invalid', `"${name}" cannot be the name of a replication slot.`, {
    hint: 'Use lower-case letters, digits and underscores, at most 63.',
  })
}
