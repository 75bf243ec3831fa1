/**
 * `retake/supabase`: whether a Supabase project can be recovered, from any program that has `fetch`: Node 20 and later, edge
 * runtimes, browsers. Nothing of Retake's engine comes along.
 *
 * ```ts
 * import { BackupMonitor, DatabaseBackupManager } from 'retake/supabase'
 *
 * const manager = new DatabaseBackupManager(supabaseUrl, supabaseKey, projectId, { managementToken })
 * console.log(BackupMonitor.formatReport(await manager.generateBackupReport()))
 * ```
 *
 * @module
 */
export type { Clock } from './base/clock.ts'
export type { ErrorCode, RetryAdvice } from './base/error-codes.ts'
export { isRetakeError, RetakeError, type SerializedError } from './base/errors.ts'
export { CINETRACK_TABLES, type CriticalTable, type TableTier } from './supabase/critical-tables.ts'
export type { Fetch } from './supabase/exchange.ts'
export {
  type HealthCap,
  type HealthFacts,
  type HealthPart,
  type HealthPartName,
  type HealthScore,
  type Measured,
  scoreHealth,
} from './supabase/health-score.ts'
export { isProjectRef, SupabaseManagement, type SupabaseService } from './supabase/management/api.ts'
export type { CallOptions, ManagementOptions } from './supabase/management/http.ts'
export {
  type NativeBackupView,
  type NativeMode,
  type NativeView,
  viewNativeBackups,
} from './supabase/management/native-backups.ts'
export {
  applyNativeRestore,
  type FollowNativeOptions,
  followNativeRestore,
  type NativeRestorePlan,
  type NativeRestoreState,
  planNativeRestore,
  readNativePlan,
} from './supabase/management/native-restore.ts'
export type {
  Addons,
  Advisors,
  ApiKey,
  BackupSchedule,
  Entitlements,
  NativeBackup,
  NativeBackups,
  Organization,
  Project,
  ServiceHealth,
  StorageBucket,
} from './supabase/management/shapes.ts'
export { type AskOptions, type BackupManagerOptions, DatabaseBackupManager } from './supabase/manager.ts'
export { BackupMonitor, type LogOptions } from './supabase/monitor.ts'
export { judgeNative, type NativeJudgement } from './supabase/native/judge.ts'
export { type NativeLag, type NativeState, readNativeState } from './supabase/native/state.ts'
export {
  type ChecklistItem,
  type EmergencyContact,
  type InstructionOptions,
  RecoveryProcedures,
  type RecoveryStep,
} from './supabase/procedures.ts'
export {
  type BackupReport,
  type ConnectivityReport,
  DEFAULT_THRESHOLDS,
  type LastBackup,
  type PointInTimeReport,
  type RecoveryWindow,
  type RetentionReport,
  type TableReport,
  type TablesReport,
  type Thresholds,
  type Trace,
  type Unknown,
} from './supabase/report/types.ts'
export type { RetakeStatus } from './supabase/retake-status.ts'
