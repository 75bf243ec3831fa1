/** Asks everybody who may know something, each question once for a report. What fails becomes an unknown with its reason. */
import type { Clock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { CriticalTable } from '../critical-tables.ts'
import type { Fetch } from '../exchange.ts'
import type { SupabaseManagement } from '../management/api.ts'
import {
  ARCHIVER_SQL,
  type ArchiverFacts,
  type NativeView,
  pitrRetentionDays,
  planRetentionDays,
  readArchiverRow,
  viewNativeBackups,
} from '../management/native-backups.ts'
import type { Project } from '../management/shapes.ts'
import type { SupabaseRest, TableAnswer } from '../rest.ts'
import { fetchRetakeStatus, type RetakeStatus } from '../retake-status.ts'
import type { Thresholds, Trace } from './types.ts'

export type Answer<T> = { readonly value: T; readonly trace: Trace } | { readonly unknown: string }

export interface FactSettings {
  readonly projectId: string
  readonly rest: SupabaseRest
  readonly management: SupabaseManagement | undefined
  readonly retake: { readonly url: string; readonly token: string | undefined } | undefined
  readonly tables: readonly CriticalTable[]
  readonly thresholds: Thresholds
  readonly fetch: Fetch
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
}

/** A table with what REST told and, where that was not enough, what the catalog told. */
export interface TableFact {
  readonly table: Required<CriticalTable>
  readonly rest: TableAnswer
  readonly inCatalog: boolean | undefined
}

export interface DatabaseFact {
  readonly tables: readonly TableFact[]
  /** Whether SQL through the Management API was answered; undefined when it was not needed or cannot be asked. */
  readonly sql: { readonly answered: boolean; readonly latencyMs: number; readonly reason?: string } | undefined
}

const TABLES_AT_ONCE = 4

export class Facts {
  readonly settings: FactSettings
  readonly #asked = new Map<string, Promise<unknown>>()

  constructor(settings: FactSettings) {
    this.settings = settings
  }

  project(): Promise<Answer<Project>> {
    return this.#once('project', () =>
      this.#manage('GET /v1/projects/{ref}', (api, ref, options) => api.project(ref, options)),
    )
  }

  backups(): Promise<Answer<NativeView>> {
    return this.#once('backups', () =>
      this.#manage('GET /v1/projects/{ref}/database/backups', async (api, ref, options) =>
        viewNativeBackups(await api.backups(ref, options)),
      ),
    )
  }

  schedule(): Promise<Answer<string>> {
    return this.#once('schedule', () =>
      this.#manage(
        'GET /v1/projects/{ref}/database/backups/schedule: schedule_for',
        async (api, ref, options) => (await api.backupSchedule(ref, options)).schedule_for,
      ),
    )
  }

  /** Of the add-on with point-in-time recovery, else of the plan. */
  retention(): Promise<Answer<number>> {
    return this.#once('retention', async () => {
      const backups = await this.backups()
      if ('unknown' in backups) return backups
      return backups.value.mode === 'pitr' ? this.#addonRetention() : this.#planRetention()
    })
  }

  async #addonRetention(): Promise<Answer<number>> {
    const answer = await this.#manage(
      'GET /v1/projects/{ref}/billing/addons: variant of pitr',
      async (api, ref, options) => pitrRetentionDays(await api.addons(ref, options)),
    )
    return present(answer, 'No variant of the PITR add-on is listed.')
  }

  async #planRetention(): Promise<Answer<number>> {
    const project = await this.project()
    if ('unknown' in project) return project
    const slug = project.value.organization_slug
    if (slug === undefined) return { unknown: 'The project does not name its organization.' }
    const answer = await this.#manage(
      'GET /v1/organizations/{slug}/entitlements: backup.retention_days',
      async (api, _ref, options) => planRetentionDays(await api.entitlements(slug, options)),
    )
    return present(answer, 'The plan does not say for how long backups are kept.')
  }

  /** How archiving stands; only asked where the latest restore point would otherwise be unexplained. */
  archiver(): Promise<Answer<ArchiverFacts>> {
    return this.#once('archiver', async () => {
      const answer = await this.#manage(
        'POST /v1/projects/{ref}/database/query: pg_stat_archiver',
        async (api, ref, options) => readArchiverRow((await api.queryReadOnly(ref, ARCHIVER_SQL, options))[0]),
      )
      return present(answer, 'pg_stat_archiver has no row.')
    })
  }

  retake(): Promise<Answer<RetakeStatus>> {
    return this.#once('retake', async (): Promise<Answer<RetakeStatus>> => {
      const { retake, fetch, timeoutMs, signal, clock, thresholds } = this.settings
      if (!retake) return { unknown: 'No address of Retake was given.' }
      const answer = await attempt({ source: 'retake', detail: 'retake status --json' }, () =>
        fetchRetakeStatus({ ...retake, fetch, timeoutMs, signal }),
      )
      if ('unknown' in answer) return answer
      const ageMinutes = (clock.now().getTime() - Date.parse(answer.value.at)) / 60_000
      if (ageMinutes <= thresholds.statusMaxAgeMinutes) return answer
      return { unknown: `The status that Retake published is ${Math.round(ageMinutes)} minutes old.` }
    })
  }

  database(): Promise<DatabaseFact> {
    return this.#once('database', async (): Promise<DatabaseFact> => {
      const { tables, rest, signal } = this.settings
      const asked = tables.map(({ schema = 'public', ...table }) => ({ ...table, schema }))
      const answers = await mapLimited(asked, (table) => rest.table(table, signal))
      const isEnough = answers.length > 0 && answers.every(({ database }) => database === 'answered')
      const catalog = isEnough || !this.settings.management ? undefined : await this.#askCatalog(asked)
      return {
        tables: asked.map((table, index) => ({
          table,
          rest: answers[index] ?? { state: 'unknown', database: 'unknown' },
          inCatalog: catalog?.names?.has(`${table.schema}.${table.name}`),
        })),
        sql: catalog && {
          answered: catalog.names !== undefined,
          latencyMs: catalog.latencyMs,
          ...(catalog.reason === undefined ? {} : { reason: catalog.reason }),
        },
      }
    })
  }

  async #askCatalog(tables: readonly Required<CriticalTable>[]) {
    const { clock } = this.settings
    const begunMs = clock.monotonicMs()
    const answer = await this.#manage('POST /v1/projects/{ref}/database/query: pg_class', (api, ref, options) =>
      api.queryReadOnly(ref, catalogSql(tables), options),
    )
    const latencyMs = Math.round((clock.monotonicMs() - begunMs) * 10) / 10
    if ('unknown' in answer) return { names: undefined, latencyMs, reason: answer.unknown }
    return { names: new Set(answer.value.map(({ name }) => String(name))), latencyMs, reason: undefined }
  }

  async #manage<T>(
    detail: string,
    ask: (api: SupabaseManagement, ref: string, options: { signal: AbortSignal | undefined }) => Promise<T>,
  ): Promise<Answer<T>> {
    const { management, projectId, signal } = this.settings
    if (!management) return { unknown: 'No management token was given.' }
    return attempt({ source: 'management-api', detail }, () => ask(management, projectId, { signal }))
  }

  #once<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#asked.get(name) as Promise<T> | undefined
    if (known) return known
    const asked = ask()
    this.#asked.set(name, asked)
    return asked
  }
}

async function attempt<T>(trace: Trace, ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask(), trace }
  } catch (error) {
    // Who stopped the report does not want one; what is no error of ours is a defect and must not look like an unknown.
    if (!isRetakeError(error) || error.code === 'aborted') throw error
    return { unknown: error.message }
  }
}

function present<T>(answer: Answer<T | undefined>, reason: string): Answer<T> {
  if ('unknown' in answer) return answer
  return answer.value === undefined ? { unknown: reason } : { value: answer.value, trace: answer.trace }
}

async function mapLimited<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const run = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as T)
  }
  await Promise.all(Array.from({ length: Math.min(TABLES_AT_ONCE, items.length) }, run))
  return results
}

/** Names come back as `schema.name`; with no table to ask about it still shows that the database answers. */
function catalogSql(tables: readonly Required<CriticalTable>[]): string {
  const quote = (text: string | undefined) => `'${(text ?? '').replaceAll("'", "''")}'`
  const wanted = tables.map(({ schema, name }) => `(${quote(schema)}, ${quote(name)})`).join(', ')
  return `select n.nspname || '.' || c.relname as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and (n.nspname, c.relname) in (${wanted || "('', '')"})`
}
