/** The names under which schemas stand in the OpenAPI document. */
import type * as z from 'zod'
import {
  acknowledgeSchema,
  alertDetailSchema,
  alertPageSchema,
  alertSchema,
  canarySchema,
  channelListSchema,
  channelSchema,
  channelTestSchema,
  confirmCanarySchema,
  confirmedCanarySchema,
  maintenancePageSchema,
  maintenanceSchema,
  newMaintenanceSchema,
  noticePageSchema,
  noticeSchema,
  snoozeSchema,
} from './alerts.ts'
import { backupPageSchema, backupSchema } from './backups.ts'
import { clusterEventSchema, clusterPageSchema, clusterSchema } from './clusters.ts'
import { healthSchema, scorePageSchema, scoreRecordSchema } from './health.ts'
import { problemSchema } from './problem.ts'
import { runPageSchema, runSchema, startRunSchema } from './runs.ts'
import { schedulesSchema } from './schedules.ts'
import { livenessSchema, readinessSchema, serverSchema } from './server.ts'
import { copiesSchema, gapSchema, statusSchema, windowSchema } from './status.ts'
import { failureSchema } from './words.ts'

export const namedSchemas: Readonly<Record<string, z.ZodType>> = {
  Acknowledgement: acknowledgeSchema,
  Alert: alertSchema,
  AlertDetail: alertDetailSchema,
  AlertPage: alertPageSchema,
  Backup: backupSchema,
  BackupPage: backupPageSchema,
  Canary: canarySchema,
  Channel: channelSchema,
  ChannelList: channelListSchema,
  ChannelTest: channelTestSchema,
  Cluster: clusterSchema,
  ClusterEvent: clusterEventSchema,
  ClusterPage: clusterPageSchema,
  Confirmation: confirmCanarySchema,
  ConfirmedCanary: confirmedCanarySchema,
  Copies: copiesSchema,
  Failure: failureSchema,
  Gap: gapSchema,
  Health: healthSchema,
  Liveness: livenessSchema,
  Maintenance: maintenanceSchema,
  MaintenancePage: maintenancePageSchema,
  NewMaintenance: newMaintenanceSchema,
  Notice: noticeSchema,
  NoticePage: noticePageSchema,
  Problem: problemSchema,
  Readiness: readinessSchema,
  Run: runSchema,
  RunPage: runPageSchema,
  Schedules: schedulesSchema,
  ScorePage: scorePageSchema,
  ScoreRecord: scoreRecordSchema,
  Server: serverSchema,
  Snooze: snoozeSchema,
  StartRun: startRunSchema,
  Status: statusSchema,
  Window: windowSchema,
}
