/**
 * `retake/testing`: servers for your own tests, on Node 20 and later.
 *
 * ```ts
 * import { startManagementServer } from 'retake/testing'
 *
 * await using supabase = await startManagementServer({ projects: [{ ref: 'abcdefghijklmnopqrst' }] })
 * ```
 *
 * @module
 */
export type { Clock } from './base/clock.ts'
export type { Fault } from './supabase/test-server/faults.ts'
export type { TestBackupRow, TestBackups, TestPlan, TestProjectOptions } from './supabase/test-server/project.ts'
export { TestProject } from './supabase/test-server/project.ts'
export {
  type ManagementServerOptions,
  ManagementTestServer,
  type ReceivedRequest,
  startManagementServer,
} from './supabase/test-server/server.ts'
