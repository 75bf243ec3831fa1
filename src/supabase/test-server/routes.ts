/** The calls that the test server knows, with the shapes and the words that were recorded from the real API. */
import type { TestPlan, TestProject } from './project.ts'

export interface TestAnswer {
  readonly status: number
  readonly body?: unknown
}

export interface RouteContext {
  readonly projects: ReadonlyMap<string, TestProject>
  /** Of the path, in its order: a project's reference or an organization's name. */
  readonly id: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly now: Date
}

export interface Route {
  readonly method: string
  readonly path: RegExp
  /** What a scoped token needs. */
  readonly scope: string
  readonly answer: (context: RouteContext) => TestAnswer | Promise<TestAnswer>
}

const ok = (body: unknown): TestAnswer => ({ status: 200, body })
const refuse = (status: number, message: string): TestAnswer => ({ status, body: { message } })

/** A route of one project: 404 for a reference that nobody has. */
function projectRoute(
  method: string,
  rest: string,
  {
    scope,
    answer,
  }: { scope: string; answer: (project: TestProject, context: RouteContext) => TestAnswer | Promise<TestAnswer> },
): Route {
  return {
    method,
    path: new RegExp(`^/v1/projects/([^/]+)${rest}$`),
    scope,
    answer: (context) => {
      if (!/^[a-z]{20}$/.test(context.id)) return refuse(400, 'ref must be a valid project ref')
      const project = context.projects.get(context.id)
      return project ? answer(project, context) : refuse(404, 'Project not found')
    },
  }
}

export const routes: readonly Route[] = [
  {
    method: 'GET',
    path: /^\/v1\/projects$/,
    scope: 'projects:read',
    answer: ({ projects }) => ok([...projects.values()].map(projectBody)),
  },
  projectRoute('GET', '', { scope: 'projects:read', answer: (project) => ok(projectBody(project)) }),
  projectRoute('GET', '/health', { scope: 'projects:read', answer: healthAnswer }),
  projectRoute('GET', '/database/backups', { scope: 'database:read', answer: (project) => ok(backupsBody(project)) }),
  projectRoute('POST', '/database/backups/restore-pitr', { scope: 'database:write', answer: restoreAnswer }),
  projectRoute('GET', '/database/backups/schedule', { scope: 'database:read', answer: scheduleAnswer }),
  projectRoute('PATCH', '/database/backups/schedule', { scope: 'database:write', answer: changeScheduleAnswer }),
  projectRoute('POST', '/database/query', { scope: 'database:write', answer: queryAnswer }),
  projectRoute('GET', '/billing/addons', { scope: 'organizations:read', answer: (project) => ok(addonsBody(project)) }),
  projectRoute('GET', '/advisors/(?:security|performance)', {
    scope: 'advisors:read',
    answer: ({ lints }) => ok({ lints }),
  }),
  projectRoute('GET', '/config/database/postgres', {
    scope: 'database:read',
    answer: ({ postgresConfig }) => ok(postgresConfig),
  }),
  projectRoute('GET', '/api-keys', { scope: 'secrets:read', answer: (_project, { query }) => ok(keysBody(query)) }),
  projectRoute('GET', '/storage/buckets', { scope: 'storage:read', answer: ({ buckets }) => ok(buckets) }),
  projectRoute('GET', '/pgsodium', { scope: 'secrets:read', answer: ({ rootKey }) => ok({ root_key: rootKey }) }),
  {
    method: 'GET',
    path: /^\/v1\/organizations\/([^/]+)$/,
    scope: 'organizations:read',
    answer: (context) => organizationAnswer(context, organizationBody),
  },
  {
    method: 'GET',
    path: /^\/v1\/organizations\/([^/]+)\/entitlements$/,
    scope: 'organizations:read',
    answer: (context) => organizationAnswer(context, entitlementsBody),
  },
]

function projectBody(project: TestProject): object {
  const { ref, name, region, organizationSlug } = project
  return {
    id: ref,
    ref,
    organization_id: organizationSlug,
    organization_slug: organizationSlug,
    name,
    region,
    created_at: '2026-05-20T09:11:27.412Z',
    status: project.currentStatus(),
    database: {
      host: `db.${ref}.supabase.co`,
      version: '17.6.1.111',
      postgres_engine: '17',
      release_channel: 'ga',
    },
  }
}

function healthAnswer(project: TestProject, { query }: RouteContext): TestAnswer {
  const services = query.getAll('services').flatMap((value) => value.split(','))
  if (services.length === 0) return refuse(400, 'services must be an array')
  const healthy = project.currentStatus() === 'ACTIVE_HEALTHY'
  return ok(services.map((name) => ({ name, healthy, status: healthy ? 'ACTIVE_HEALTHY' : 'UNHEALTHY' })))
}

/** `walg_enabled` is true here as it was in the recording, with point-in-time recovery off. */
function backupsBody({ region, backups }: TestProject): object {
  const physical =
    backups.mode === 'pitr'
      ? {
          earliest_physical_backup_date_unix: backups.earliestUnix,
          latest_physical_backup_date_unix: backups.latestUnix,
        }
      : {}
  return {
    region,
    pitr_enabled: backups.mode === 'pitr',
    walg_enabled: true,
    backups: backups.mode === 'daily' ? backups.rows : [],
    physical_backup_data: physical,
  }
}

function restoreAnswer(project: TestProject, { body }: RouteContext): TestAnswer {
  const target = (body as { recovery_time_target_unix?: unknown } | null)?.recovery_time_target_unix
  if (typeof target !== 'number' || !Number.isInteger(target) || target < 0) {
    return refuse(400, 'recovery_time_target_unix must be an integer number')
  }
  if (project.backups.mode !== 'pitr') return refuse(400, 'PITR is not enabled for this project.')
  if (target < project.backups.earliestUnix || target > project.backups.latestUnix) {
    return refuse(422, 'Recovery time target is out of range.')
  }
  project.beginRestore(target)
  return { status: 201, body: {} }
}

const PLAN_MESSAGE = 'Backup schedule is not available on your current plan.'

function scheduleAnswer({ plan, scheduleFor, scheduleUpdatedAt }: TestProject): TestAnswer {
  if (plan === 'free') return refuse(402, PLAN_MESSAGE)
  return ok({ schedule_for: scheduleFor, updated_at: scheduleUpdatedAt })
}

function changeScheduleAnswer(project: TestProject, { body, now }: RouteContext): TestAnswer {
  if (project.plan === 'free') return refuse(402, PLAN_MESSAGE)
  const wanted = (body as { schedule_for?: unknown } | null)?.schedule_for
  if (typeof wanted !== 'string' || !/^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/.test(wanted)) {
    return refuse(400, 'schedule_for must be in HH:MM:SS format')
  }
  project.scheduleFor = wanted
  project.scheduleUpdatedAt = now.toISOString()
  return ok({ schedule_for: wanted, updated_at: project.scheduleUpdatedAt })
}

async function queryAnswer(project: TestProject, { body }: RouteContext): Promise<TestAnswer> {
  const { query } = (body ?? {}) as { query?: unknown }
  if (typeof query !== 'string') return refuse(400, 'query must be a string')
  if (!project.query) return refuse(400, 'Failed to run sql query: no database is attached to this test server')
  try {
    return { status: 201, body: await project.query(query) }
  } catch (error) {
    return refuse(400, `Failed to run sql query: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const PITR_PRICES = { 7: 0.137, 14: 0.274, 28: 0.55 } as const

function addonsBody({ backups }: TestProject): object {
  const variant = (days: 7 | 14 | 28) => ({
    id: `pitr_${days}`,
    name: `${days} days`,
    price: {
      description: `$${PITR_PRICES[days]}/hour`,
      type: 'usage',
      interval: 'hourly',
      amount: PITR_PRICES[days],
    },
  })
  return {
    selected_addons: backups.mode === 'pitr' ? [{ type: 'pitr', variant: variant(backups.days) }] : [],
    available_addons: [
      { type: 'pitr', name: 'Point in time recovery', variants: [variant(7), variant(14), variant(28)] },
    ],
  }
}

/** The two legacy keys, as the recording has them: ids that are names, and masks instead of the secret. */
function keysBody(query: URLSearchParams): object[] {
  const reveal = query.get('reveal') === 'true'
  return ['anon', 'service_role'].map((name) => ({
    name,
    id: name,
    type: 'legacy',
    api_key: reveal ? `revealed-${name}-key` : '\u00b7'.repeat(16),
    prefix: null,
    hash: null,
    description: null,
    secret_jwt_template: null,
  }))
}

function organizationAnswer(context: RouteContext, body: (slug: string, plan: TestPlan) => object): TestAnswer {
  const slug = decodeURIComponent(context.id)
  const project = [...context.projects.values()].find(({ organizationSlug }) => organizationSlug === slug)
  return project ? ok(body(slug, project.plan)) : refuse(404, 'Organization not found')
}

const organizationBody = (slug: string, plan: TestPlan) => ({
  id: slug,
  name: slug,
  plan,
  opt_in_tags: [],
  allowed_release_channels: ['ga'],
})

/** Days that each plan keeps backups for; free projects have none that they could see. */
const RETENTION_DAYS: Readonly<Record<TestPlan, number>> = { free: 0, pro: 7, team: 14, enterprise: 30 }

function entitlementsBody(_slug: string, plan: TestPlan): object {
  const paid = plan !== 'free'
  return {
    entitlements: [
      {
        feature: { key: 'backup.retention_days', type: 'numeric' },
        hasAccess: paid,
        type: 'numeric',
        config: { enabled: paid, value: RETENTION_DAYS[plan], unlimited: false, unit: 'days' },
      },
      {
        feature: { key: 'backup.schedule', type: 'boolean' },
        hasAccess: paid,
        type: 'boolean',
        config: { enabled: paid },
      },
      {
        feature: { key: 'pitr.available_variants', type: 'set' },
        hasAccess: paid,
        type: 'set',
        config: { enabled: paid, set: paid ? ['pitr_7', 'pitr_14', 'pitr_28'] : [] },
      },
    ],
  }
}
