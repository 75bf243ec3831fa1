/** The backup strategy's own calls: a report about a Supabase project, from its address and keys in the environment. */
import { BackupMonitor, DatabaseBackupManager, RecoveryProcedures } from '../src/supabase.ts'

const { SUPABASE_URL = '', SUPABASE_ANON_KEY = '', SUPABASE_PROJECT_ID = '' } = process.env
const manager = new DatabaseBackupManager(SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_PROJECT_ID, {
  // Without it the report says less, and says so. A secret: on a server only.
  managementToken: process.env.SUPABASE_ACCESS_TOKEN,
  // Only for a test server; default https://api.supabase.com.
  managementUrl: process.env.SUPABASE_MANAGEMENT_URL,
})

const report = await manager.generateBackupReport()
console.log(BackupMonitor.formatReport(report))

if (report.criticalTables.valid === false) {
  for (const { title, actions } of RecoveryProcedures.getRecoveryInstructions({ projectId: SUPABASE_PROJECT_ID })) {
    console.log(`\n${title}\n  ${actions.join('\n  ')}`)
  }
}
