/** The table of everything that the API offers below `/api/v1`. */
import * as z from 'zod'
import {
  acknowledgeSchema,
  alertDetailSchema,
  alertPageSchema,
  alertSchema,
  alertStateSchema,
  canarySchema,
  channelListSchema,
  channelTestSchema,
  confirmCanarySchema,
  confirmedCanarySchema,
  maintenancePageSchema,
  maintenanceSchema,
  newMaintenanceSchema,
  noticePageSchema,
  severitySchema,
  snoozeSchema,
} from './alerts.ts'
import { backupPageSchema } from './backups.ts'
import { clusterEventSchema, clusterPageSchema, clusterSchema } from './clusters.ts'
import { healthSchema, scorePageSchema } from './health.ts'
import type { OperationFacts } from './operation.ts'
import { runPageSchema, runSchema, runStateSchema, startRunSchema, taskSchema } from './runs.ts'
import { schedulesSchema } from './schedules.ts'
import { serverSchema } from './server.ts'
import { statusSchema, windowSchema } from './status.ts'
import { clusterName, instant, opaqueId, pageQuery } from './words.ts'

const ofCluster = z.object({ cluster: clusterName })
const ofRun = z.object({ run: opaqueId })
const ofAlert = z.object({ alert: opaqueId })
const paged = z.object(pageQuery)
const pagedOfCluster = z.object({ cluster: clusterName.optional(), ...pageQuery })

const reading = { method: 'get', status: 200 } as const
const action = { method: 'post', action: true } as const

const ofClusters = { tag: 'clusters', params: ofCluster, errors: ['cluster.missing'] } as const

const clusters = {
  listClusters: {
    ...reading,
    path: '/clusters',
    tag: 'clusters',
    summary: 'List the clusters',
    query: paged,
    answer: clusterPageSchema,
    errors: [],
  },
  getCluster: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}',
    summary: 'Get what is known of a cluster in a line',
    answer: clusterSchema,
  },
  getStatus: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/status',
    summary: 'Get what would be lost just now, and why',
    description:
      'The same object as `retake status --json`, which adds `source`. `DatabaseBackupManager` of `retake/supabase` reads it: its `retake.url` is this address.',
    answer: statusSchema,
  },
  getHealth: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/health',
    summary: 'Get checks, score and objectives of the last look',
    answer: healthSchema,
    errors: ['cluster.missing', 'api.missing'],
  },
  listScores: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/scores',
    summary: 'List how the score went',
    query: z.object({ from: instant.optional(), until: instant.optional(), ...pageQuery }),
    answer: scorePageSchema,
  },
  getWindow: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/window',
    summary: 'Get the moments that can be restored',
    answer: windowSchema,
  },
  listBackups: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/backups',
    summary: 'List the backups',
    query: paged,
    answer: backupPageSchema,
  },
  getSchedules: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/schedules',
    summary: 'Get what is due when, and whether it came',
    query: z.object({
      next: z.int().min(0).max(1000).optional().describe('So many runs to come of each. Default 5.'),
    }),
    answer: schedulesSchema,
  },
  watchCluster: {
    ...reading,
    ...ofClusters,
    path: '/clusters/{cluster}/events',
    summary: 'Watch what changes',
    description:
      'Each event says what to read anew. After `reset` everything is to be read anew: changes may have been missed.',
    events: clusterEventSchema,
    event: 'change',
  },
} as const satisfies Record<string, OperationFacts>

const runs = {
  startRun: {
    ...action,
    ...ofClusters,
    path: '/clusters/{cluster}/runs',
    tag: 'runs',
    summary: 'Start a backup, a verification, a pruning or a round of checks',
    body: startRunSchema,
    status: 202,
    answer: runSchema,
    errors: ['cluster.missing', 'backup.missing', 'repo.locked'],
  },
  listRuns: {
    ...reading,
    path: '/runs',
    tag: 'runs',
    summary: 'List what ran, runs and will run',
    query: z.object({
      cluster: clusterName.optional(),
      task: taskSchema.optional(),
      state: runStateSchema.optional(),
      ...pageQuery,
    }),
    answer: runPageSchema,
    errors: [],
  },
  getRun: {
    ...reading,
    path: '/runs/{run}',
    tag: 'runs',
    summary: 'Get a run',
    params: ofRun,
    answer: runSchema,
    errors: ['api.missing'],
  },
  cancelRun: {
    ...action,
    path: '/runs/{run}/cancel',
    tag: 'runs',
    summary: 'Ask a run to stop',
    description:
      'It stops at the next step that can be left; nothing half-written becomes visible. Asking again is harmless.',
    params: ofRun,
    status: 202,
    answer: runSchema,
    errors: ['api.missing', 'api.conflict'],
  },
  watchRun: {
    ...reading,
    path: '/runs/{run}/events',
    tag: 'runs',
    summary: 'Watch the progress of a run',
    description:
      'Each event carries the whole run; whoever reads slowly is given the newest only. The last one is of a run that is over.',
    params: ofRun,
    events: runSchema,
    event: 'run',
    errors: ['api.missing'],
  },
} as const satisfies Record<string, OperationFacts>

const alerts = {
  listAlerts: {
    ...reading,
    path: '/alerts',
    tag: 'alerts',
    summary: 'List the alerts',
    query: z.object({
      cluster: clusterName.optional(),
      state: alertStateSchema.optional(),
      severity: severitySchema.optional(),
      ...pageQuery,
    }),
    answer: alertPageSchema,
    errors: [],
  },
  getAlert: {
    ...reading,
    path: '/alerts/{alert}',
    tag: 'alerts',
    summary: 'Get an alert with what became of it',
    params: ofAlert,
    answer: alertDetailSchema,
    errors: ['api.missing'],
  },
  acknowledgeAlert: {
    ...action,
    path: '/alerts/{alert}/acknowledge',
    tag: 'alerts',
    summary: 'Say that somebody takes care of an alert',
    params: ofAlert,
    body: acknowledgeSchema,
    status: 200,
    answer: alertSchema,
    errors: ['api.missing', 'api.conflict'],
  },
  snoozeAlert: {
    ...action,
    path: '/alerts/{alert}/snooze',
    tag: 'alerts',
    summary: 'Tell nobody of an alert for a while',
    params: ofAlert,
    body: snoozeSchema,
    status: 200,
    answer: alertSchema,
    errors: ['api.missing', 'api.conflict'],
  },
  listMaintenance: {
    ...reading,
    path: '/maintenance',
    tag: 'alerts',
    summary: 'List the maintenance windows',
    query: pagedOfCluster,
    answer: maintenancePageSchema,
    errors: [],
  },
  createMaintenance: {
    ...action,
    path: '/maintenance',
    tag: 'alerts',
    summary: 'Open a maintenance window, or plan one',
    body: newMaintenanceSchema,
    status: 201,
    answer: maintenanceSchema,
    errors: ['cluster.missing'],
  },
  endMaintenance: {
    ...action,
    path: '/maintenance/{maintenance}/end',
    tag: 'alerts',
    summary: 'End a maintenance window',
    params: z.object({ maintenance: opaqueId }),
    status: 200,
    answer: maintenanceSchema,
    errors: ['api.missing', 'api.conflict'],
  },
  listChannels: {
    ...reading,
    path: '/channels',
    tag: 'notices',
    summary: 'List the ways to people',
    answer: channelListSchema,
    errors: [],
  },
  testChannel: {
    ...action,
    path: '/channels/{channel}/test',
    tag: 'notices',
    summary: 'Send a test through a channel',
    params: z.object({ channel: opaqueId }),
    status: 200,
    answer: channelTestSchema,
    errors: ['api.missing'],
  },
  sendCanary: {
    ...action,
    path: '/channels/{channel}/canary',
    tag: 'notices',
    summary: 'Send a canary through a channel, which a person confirms',
    params: z.object({ channel: opaqueId }),
    status: 202,
    answer: canarySchema,
    errors: ['api.missing'],
  },
  confirmCanary: {
    ...action,
    path: '/canaries/confirm',
    tag: 'notices',
    summary: 'Confirm that a canary came',
    body: confirmCanarySchema,
    status: 200,
    answer: confirmedCanarySchema,
    errors: ['api.missing'],
  },
  listNotices: {
    ...reading,
    path: '/notices',
    tag: 'notices',
    summary: 'List what people were told',
    query: pagedOfCluster,
    answer: noticePageSchema,
    errors: [],
  },
} as const satisfies Record<string, OperationFacts>

export const operations = {
  ...clusters,
  ...runs,
  ...alerts,
  getServer: {
    ...reading,
    path: '/server',
    tag: 'server',
    summary: 'Get the version, and the servers that share the work',
    answer: serverSchema,
    errors: [],
  },
} as const satisfies Record<string, OperationFacts>

export type Operations = typeof operations
export type OperationName = keyof Operations
/** Those that answer with events. */
export type WatchName = {
  [K in OperationName]: Operations[K] extends { readonly events: z.ZodType } ? K : never
}[OperationName]
