/** What the Management API tells of one project, each question once. What fails becomes an unknown with its reason. */
import type { ErrorCode } from '../../base/error-codes.ts'
import { isRetakeError } from '../../base/errors.ts'
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
import type { Trace } from './types.ts'

export interface UnknownAnswer {
  readonly unknown: string
  /** What stopped the question, where an error did. */
  readonly code?: ErrorCode | undefined
  /** The next step, where one is known. */
  readonly fix?: string | undefined
}

export type Answer<T> = { readonly value: T; readonly trace: Trace } | UnknownAnswer

export interface ProjectSubject {
  readonly projectId: string
  readonly management: SupabaseManagement | undefined
  readonly signal: AbortSignal | undefined
}

type Question<T> = (api: SupabaseManagement, ref: string, options: { signal: AbortSignal | undefined }) => Promise<T>

export class ProjectFacts {
  readonly #subject: ProjectSubject
  readonly #once = eachOnce()

  constructor(subject: ProjectSubject) {
    this.#subject = subject
  }

  project(): Promise<Answer<Project>> {
    return this.#once('project', () =>
      this.ask('GET /v1/projects/{ref}', (api, ref, options) => api.project(ref, options)),
    )
  }

  backups(): Promise<Answer<NativeView>> {
    return this.#once('backups', () =>
      this.ask('GET /v1/projects/{ref}/database/backups', async (api, ref, options) =>
        viewNativeBackups(await api.backups(ref, options)),
      ),
    )
  }

  schedule(): Promise<Answer<string>> {
    return this.#once('schedule', () =>
      this.ask(
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
    const answer = await this.ask('GET /v1/projects/{ref}/billing/addons: variant of pitr', async (api, ref, options) =>
      pitrRetentionDays(await api.addons(ref, options)),
    )
    return present(answer, 'No variant of the PITR add-on is listed.')
  }

  async #planRetention(): Promise<Answer<number>> {
    const project = await this.project()
    if ('unknown' in project) return project
    const slug = project.value.organization_slug
    if (slug === undefined) return { unknown: 'The project does not name its organization.' }
    const answer = await this.ask(
      'GET /v1/organizations/{slug}/entitlements: backup.retention_days',
      async (api, _ref, options) => planRetentionDays(await api.entitlements(slug, options)),
    )
    return present(answer, 'The plan does not say for how long backups are kept.')
  }

  /** How archiving stands; only asked where the latest restore point would otherwise be unexplained. */
  archiver(): Promise<Answer<ArchiverFacts>> {
    return this.#once('archiver', async () => {
      const answer = await this.ask(
        'POST /v1/projects/{ref}/database/query: pg_stat_archiver',
        async (api, ref, options) => readArchiverRow((await api.queryReadOnly(ref, ARCHIVER_SQL, options))[0]),
      )
      return present(answer, 'pg_stat_archiver has no row.')
    })
  }

  async ask<T>(detail: string, question: Question<T>): Promise<Answer<T>> {
    const { management, projectId, signal } = this.#subject
    if (!management) return { unknown: 'No management token was given.' }
    return attempt({ source: 'management-api', detail }, () => question(management, projectId, { signal }))
  }
}

/** Whoever asks again gets the first answer. */
export function eachOnce(): <T>(name: string, ask: () => Promise<T>) => Promise<T> {
  const asked = new Map<string, Promise<unknown>>()
  return <T>(name: string, ask: () => Promise<T>) => {
    const known = asked.get(name) as Promise<T> | undefined
    if (known) return known
    const first = ask()
    asked.set(name, first)
    return first
  }
}

export async function attempt<T>(trace: Trace, ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask(), trace }
  } catch (error) {
    // Who stopped the report does not want one; what is no error of ours is a defect and must not look like an unknown.
    if (!isRetakeError(error) || error.code === 'aborted') throw error
    return { unknown: error.message, code: error.code, ...(error.hint === undefined ? {} : { fix: error.hint }) }
  }
}

function present<T>(answer: Answer<T | undefined>, reason: string): Answer<T> {
  if ('unknown' in answer) return answer
  return answer.value === undefined ? { unknown: reason } : { value: answer.value, trace: answer.trace }
}
