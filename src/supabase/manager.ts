/** The backup strategy's own class, by its own names, with values that are measured. */
import { type Clock, systemClock } from '../base/clock.ts'
import { CINETRACK_TABLES, type CriticalTable } from './critical-tables.ts'
import { assertAddress, assertHeaderSafe, type Fetch } from './exchange.ts'
import { SupabaseManagement } from './management/api.ts'
import { deriveLastBackup, derivePointInTime } from './report/backups.ts'
import { deriveConnectivity, deriveTables } from './report/database.ts'
import { type FactSettings, Facts } from './report/facts.ts'
import { askAboutBackups, makeReport, viewRetention } from './report/report.ts'
import {
  type BackupReport,
  type ConnectivityReport,
  DEFAULT_THRESHOLDS,
  type LastBackup,
  type PointInTimeReport,
  type RetentionReport,
  type TablesReport,
  type Thresholds,
} from './report/types.ts'
import { SupabaseRest } from './rest.ts'

export interface BackupManagerOptions {
  /**
   * A personal access token of Supabase. Without one nothing is known about Supabase's own backups. It is a secret of the
   * organization: never put it into a page or an application that others run.
   */
  readonly managementToken?: string | undefined
  /** Default `https://api.supabase.com`. */
  readonly managementUrl?: string | undefined
  /** Where the output of `retake status --json` is published, when Retake protects this database. */
  readonly retakeUrl?: string | undefined
  /** Sent to `retakeUrl` as a bearer token. */
  readonly retakeToken?: string | undefined
  /** What must exist; default CineTrack's ten tables. */
  readonly tables?: readonly CriticalTable[] | undefined
  readonly thresholds?: Partial<Thresholds> | undefined
  /** For each request, in milliseconds; default 15 000. */
  readonly timeoutMs?: number | undefined
  /** Attempts of each call of the Management API, the first included; default 3. */
  readonly maxAttempts?: number | undefined
  /** Default the platform's. */
  readonly fetch?: Fetch | undefined
  readonly clock?: Clock | undefined
}

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * Says whether a Supabase project can be recovered. Every value comes from the Management API, the database or Retake; what
 * cannot be known is `unknown`, with the reason in `sources` or `trace`. Methods throw only `aborted`.
 *
 * ```ts
 * const manager = new DatabaseBackupManager(supabaseUrl, supabaseKey, projectId, { managementToken })
 * const report = await manager.generateBackupReport()
 * ```
 */
export class DatabaseBackupManager {
  readonly #settings: Omit<FactSettings, 'signal'>

  /**
   * @param supabaseUrl `https://<reference>.supabase.co`
   * @param supabaseKey the anon key gives an honest, smaller report: row-level security hides rows from it
   * @param projectId the project's reference
   * @throws RetakeError `config.invalid`
   */
  constructor(supabaseUrl: string, supabaseKey: string, projectId: string, options: BackupManagerOptions = {}) {
    const { managementToken, managementUrl, maxAttempts, retakeUrl, retakeToken, timeoutMs = 15_000 } = options
    const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init))
    const clock = options.clock ?? systemClock
    this.#settings = {
      projectId,
      rest: new SupabaseRest({ url: supabaseUrl, key: supabaseKey, fetch, timeoutMs, clock }),
      management:
        managementToken === undefined
          ? undefined
          : new SupabaseManagement({
              token: managementToken,
              url: managementUrl,
              fetch,
              timeoutMs,
              maxAttempts,
              clock,
            }),
      retake: retakeUrl === undefined ? undefined : retakeAddress(retakeUrl, retakeToken),
      tables: options.tables ?? CINETRACK_TABLES,
      thresholds: { ...DEFAULT_THRESHOLDS, ...options.thresholds },
      fetch,
      timeoutMs,
      clock,
    }
  }

  /** Everything, in one object that is safe to log: no key is in it. */
  generateBackupReport(options: AskOptions = {}): Promise<BackupReport> {
    return makeReport(this.#facts(options))
  }

  /** Whether every second can be restored, and which. */
  async checkPointInTimeRecovery(options: AskOptions = {}): Promise<PointInTimeReport> {
    return derivePointInTime(await askAboutBackups(this.#facts(options)))
  }

  async getBackupRetentionPolicy(options: AskOptions = {}): Promise<RetentionReport> {
    return viewRetention(await this.#facts(options).platform.retention(), this.#settings.thresholds)
  }

  /** Undefined when it is known that there is none; with the status `unknown` when nobody could be asked. */
  async getLastBackupStatus(options: AskOptions = {}): Promise<LastBackup | undefined> {
    return deriveLastBackup(await askAboutBackups(this.#facts(options))).value
  }

  /** Whether the database itself answers, and how fast. An endpoint that answers from memory does not count. */
  async testDatabaseConnectivity(options: AskOptions = {}): Promise<ConnectivityReport> {
    return deriveConnectivity(await this.#facts(options).database())
  }

  async validateCriticalTables(options: AskOptions = {}): Promise<TablesReport> {
    return deriveTables(await this.#facts(options).database(), this.#settings.rest.role)
  }

  #facts({ signal }: AskOptions): Facts {
    return new Facts({ ...this.#settings, signal })
  }
}

function retakeAddress(url: string, token: string | undefined) {
  return {
    url: assertAddress(url, 'The address of Retake', { anyHttp: token === undefined }),
    token: token === undefined ? undefined : assertHeaderSafe(token, "Retake's token"),
  }
}
