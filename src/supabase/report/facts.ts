/** Asks everybody who may know something, each question once for a report. What fails becomes an unknown with its reason. */
import type { Clock } from '../../base/clock.ts'
import type { CriticalTable } from '../critical-tables.ts'
import type { Fetch } from '../exchange.ts'
import type { SupabaseManagement } from '../management/api.ts'
import type { SupabaseRest, TableAnswer } from '../rest.ts'
import { fetchRetakeStatus, type RetakeStatus } from '../retake-status.ts'
import { type Answer, attempt, eachOnce, ProjectFacts } from './project-facts.ts'
import type { Thresholds } from './types.ts'

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
  readonly #once = eachOnce()

  /** What the Management API tells. */
  readonly platform: ProjectFacts

  constructor(settings: FactSettings) {
    this.settings = settings
    this.platform = new ProjectFacts(settings)
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
    const answer = await this.platform.ask('POST /v1/projects/{ref}/database/query: pg_class', (api, ref, options) =>
      api.queryReadOnly(ref, catalogSql(tables), options),
    )
    const latencyMs = Math.round((clock.monotonicMs() - begunMs) * 10) / 10
    if ('unknown' in answer) return { names: undefined, latencyMs, reason: answer.unknown }
    return { names: new Set(answer.value.map(({ name }) => String(name))), latencyMs, reason: undefined }
  }
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
