/**
 * Retake as a library: the same verbs as the command line, with typed results and errors, an `AbortSignal` for everything that
 * takes time, and progress as an async iterable.
 *
 * ```ts
 * import { backUp, openRetake } from 'retake'
 *
 * await using retake = await openRetake({ repo: '/var/lib/retake', keyFile: '/etc/retake/key', databaseUrl })
 * const { backup } = await backUp(retake).result
 * ```
 *
 * @module
 */
export type { ErrorCode, RetryAdvice } from './base/error-codes.ts'
export { isRetakeError, RetakeError, type SerializedError } from './base/errors.ts'
export { formatInstant, type InstantMicros, parseInstant } from './base/instant.ts'
export type { Logger, Progress, ProgressListener } from './base/progress.ts'
export type { BackupDecision } from './catalog/retention/plan.ts'
export type { RetentionPolicy } from './catalog/retention/policy.ts'
export type { KeepRule, RuleVerdict } from './catalog/retention/rules.ts'
export type { SimulatedDay } from './catalog/retention/simulate.ts'
export { listDrills, readDrill } from './drills/records.ts'
export { type DrillReport, type RunDrillOptions, runDrill } from './drills/run.ts'
export { type BackUpOptions, type BackupReport, backUp } from './engine/backup.ts'
export { type BackupList, listBackups } from './engine/backups.ts'
export { type ResolveConfigOptions, type ResolvedConfig, resolveConfig } from './engine/config.ts'
export type { Config, CriticalTable, MirrorConfig, Tier } from './engine/config-options.ts'
export { renderConfigSchema } from './engine/config-schema.ts'
export type { DamageConsequences, LostMoments } from './engine/damage-consequences.ts'
export type { CheckArea, CheckResult, CheckState } from './engine/doctor/check.ts'
export { type DoctorReport, diagnose } from './engine/doctor/doctor.ts'
export { type FetchedWal, fetchWal } from './engine/fetch-wal.ts'
export {
  type FindOptions,
  type FindReport,
  findIncidents,
  type IncidentView,
  type MarkView,
} from './engine/find.ts'
export { type InitialiseOptions, type InitialiseReport, initialise, type StepOutcome } from './engine/initialise.ts'
export { type JournalReport, type UpdateJournalOptions, updateJournal } from './engine/journal/update.ts'
export { type AddedKey, type AddKeyOptions, addKey } from './engine/keys/add-key.ts'
export { type EscrowReport, type EscrowTestOptions, escrowTest } from './engine/keys/escrow-test.ts'
export { type KeysStatusOptions, readKeysStatus } from './engine/keys/keys-status.ts'
export type { ClusterKeysView, EpochView, HolderView, KeysStatus } from './engine/keys/keys-view.ts'
export type { NewKeySource } from './engine/keys/new-key.ts'
export { planReEncrypt, type ReEncryptOptions, type ReEncryptPlan, reEncrypt } from './engine/keys/re-encrypt.ts'
export { type RemoveKeyOptions, removeKey } from './engine/keys/remove-key.ts'
export { type RetireKeysOptions, retireKeys } from './engine/keys/retire-keys.ts'
export { type RotateDataOptions, type RotatedData, rotateData } from './engine/keys/rotate-data.ts'
export { type RotatedMaster, type RotateMasterOptions, rotateMaster } from './engine/keys/rotate-master.ts'
export { type ShredOptions, type ShredReport, shredCluster } from './engine/keys/shred.ts'
export type { LoadGuardConfig } from './engine/load/judge-load.ts'
export { type MarkReport, mark } from './engine/mark.ts'
export {
  type CopyState,
  type CopyView,
  type MirrorsReport,
  type ReadMirrorsOptions,
  readMirrors,
} from './engine/mirrors/copies.ts'
export { type FollowOptions, followMirrors } from './engine/mirrors/follow.ts'
export {
  forgetMirror,
  type HealMirrorsOptions,
  healMirrors,
  type SwitchPrimaryOptions,
  type SwitchPrimaryReport,
  type SyncMirrorsOptions,
  switchPrimary,
  syncMirrors,
} from './engine/mirrors/keep-copies.ts'
export type { MirrorSetUp } from './engine/mirrors/set-up.ts'
export type { BackupCopies } from './engine/mirrors/three-two-one.ts'
export { type ReadNativeOptions, readNative } from './engine/native/read-native.ts'
export {
  type ApplyNativeOptions,
  applyNative,
  checkNative,
  type NativeRestoreReport,
  type NativeSteps,
  nativeSteps,
  planNative,
} from './engine/native/restore.ts'
export { openRetake, type Retake, type RetakeOptions, type RetakeSettings, retakeSettings } from './engine/open.ts'
export type { Operation, OperationOptions } from './engine/operation.ts'
export {
  type CommitView,
  type PreviewOptions,
  type PreviewReport,
  preview,
  type TableLoss,
} from './engine/preview.ts'
export { type PruneOptions, prune } from './engine/prune.ts'
export type { PruneReport, RepackReport, RetentionPlanView, WalDecisionView } from './engine/prune-report.ts'
export { type ReceiveReport, type ReceiveWalOptions, receiveWal } from './engine/receive-wal.ts'
export type { ReceiverState } from './engine/receiver-state.ts'
export { type CheckedWindow, checkRepository, type RepositoryCheck } from './engine/repo/check.ts'
export { type CopyRepositoryOptions, copyRepository } from './engine/repo/copy.ts'
export { type RebuildItem, type RebuildOptions, type RebuildReport, rebuildRepository } from './engine/repo/rebuild.ts'
export { type RepositoryStatsOptions, repositoryStats } from './engine/repo/stats.ts'
export { type ApplyRestoreOptions, applyRestore, type PlanRestoreOptions, planRestore } from './engine/restore.ts'
export {
  type HoldView,
  holdBackup,
  listHolds,
  type RetentionSimulation,
  releaseBackup,
  type SimulateRetentionOptions,
  simulate as simulateRetention,
} from './engine/retention.ts'
export {
  type DueRunView,
  type JudgedRunView,
  type ReadSchedulesOptions,
  readSchedules,
  type SchedulesReport,
  type ScheduleView,
} from './engine/schedules.ts'
export type { ServerView } from './engine/server-view.ts'
export { readStatus, type SlotView, type StatusReport } from './engine/status.ts'
export type { Reason, RpoView } from './engine/status-judgement.ts'
export type { DeliveredTable } from './engine/tables/deliver-beside.ts'
export type { TableFormat } from './engine/tables/deliver-files.ts'
export type { MergedTable } from './engine/tables/deliver-merge.ts'
export { type MergeTablesOptions, type MergeTablesReport, mergeTables } from './engine/tables/merge-tables.ts'
export { type OpenedServer, type OpenServerOptions, openServer } from './engine/tables/open-server.ts'
export type { TablesAtOptions } from './engine/tables/open-tables.ts'
export { type RestoreTablesOptions, type RestoreTablesReport, restoreTables } from './engine/tables/restore-tables.ts'
export { type ClusterDamage, type VerifyOptions, type VerifyResult, verify } from './engine/verify.ts'
export { type GapView, readWindow, type WindowEdgeView, type WindowReport, type WindowView } from './engine/window.ts'
export type { AlertSeverity, Notice, NoticeAlert, NoticeKind } from './monitor/alerts/notice.ts'
export type {
  Channel,
  ChannelKind,
  NoticeLinks,
  Receipt,
  RefusedRecipient,
  SendOptions,
} from './monitor/channels/channel.ts'
export type { ChannelConfig } from './monitor/channels/config.ts'
export { type DeliveryOutcome, deliver } from './monitor/channels/deliver.ts'
export type { DeliveryFailure } from './monitor/channels/failure.ts'
export { type HeartbeatOptions, sendHeartbeat } from './monitor/channels/heartbeat.ts'
export { type OpenChannelOptions, openChannel } from './monitor/channels/open-channel.ts'
export { canaryNotice, testNotice } from './monitor/channels/own-notices.ts'
export { readChannels } from './monitor/channels/read-channels.ts'
export { decideRetry, type FailedAttempt, type RetryDecision, type RetryPolicy } from './monitor/channels/retry.ts'
export type { SecretSource } from './monitor/channels/secret.ts'
export { type TestChannelOptions, testChannel } from './monitor/channels/test-channel.ts'
export type { Measurements as HealthMeasurements, ObservedTable } from './monitor/checks/measurements.ts'
export {
  type Observation as HealthObservation,
  readObservation as readHealthObservation,
} from './monitor/checks/observation.ts'
export type {
  HealthCheckName,
  HealthCheckResult,
  HealthCheckState,
  Severity as HealthSeverity,
} from './monitor/checks/result.ts'
export type { BackupHistory } from './monitor/health/backup-history.ts'
export type { Cap as HealthCap } from './monitor/health/caps.ts'
export type { Headline as HealthHeadline } from './monitor/health/headline.ts'
export { backupHistory } from './monitor/health/history.ts'
export type { HealthInput, HealthTargets } from './monitor/health/input.ts'
export type { Objective as HealthObjective } from './monitor/health/objectives.ts'
export type { Recommendation as HealthRecommendation } from './monitor/health/recommend.ts'
export {
  type Band as HealthBand,
  type HealthScore,
  type LostPoints,
  type ScorePart,
  scoreHealth,
} from './monitor/health/score.ts'
export type { MetricFamily, MetricSample } from './monitor/metrics/families.ts'
export {
  METRICS_CONTENT_TYPES,
  type MetricsFormat,
  type RenderMetricsOptions,
  renderMetrics,
} from './monitor/metrics/render.ts'
export { type HealthReport, type ReadHealthOptions, readHealth } from './monitor/read-health.ts'
export { type MetricsReport, type ReadMetricsOptions, readMetrics } from './monitor/read-metrics.ts'
export { formatLsn, type Lsn, parseLsn } from './postgres/lsn.ts'
export type { DeltaRequest } from './recovery/delta/plan-delta.ts'
export type { RestorePlan } from './recovery/plan-types.ts'
export { readPlan } from './recovery/plan-types.ts'
export type { RestoreReport } from './recovery/report.ts'
export { formatTarget, parseTarget, type RecoveryTarget } from './recovery/targets.ts'
export type { DrillCheck, DrillOutcome, DrillRecord, ListDrillsOptions } from './repository/drills.ts'
export {
  generateKey,
  type KeyMaterial,
  type KeyService,
  type KeyServiceContext,
} from './repository/keys/key-material.ts'
export { formatKeyText, parseKeyText } from './repository/keys/key-text.ts'
export type { BackupSummary } from './repository/manifest.ts'
export type { CopyHealing, HealedObject } from './repository/mirrors/heal.ts'
export type { CopyLag } from './repository/mirrors/lag.ts'
export type { CopySync } from './repository/mirrors/sync.ts'
export type { WaitingRecord } from './repository/sweep/delete.ts'
export type { CopyReport } from './repository/upkeep/copy.ts'
export type { ClusterStats, KindStats, RepositoryStats, SharingStats } from './repository/upkeep/stats.ts'
export type { VerifyFinding } from './repository/verify/findings.ts'
export type { RunOutcome } from './schedules/judge.ts'
export type { BlackoutConfig, ScheduleConfig, ScheduleTask } from './schedules/schedule.ts'
export {
  type NativeRestorePlan,
  type NativeRestoreState,
  readNativePlan,
} from './supabase/management/native-restore.ts'
export { judgeNative, type NativeJudgement } from './supabase/native/judge.ts'
export type { NativeLag, NativeState } from './supabase/native/state.ts'
