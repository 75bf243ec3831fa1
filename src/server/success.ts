/** A backup that went well, as a notice for those who want to hear of it. */
import type { RunRequest } from '../control/runs.ts'
import type { Notice } from '../monitor/alerts/notice.ts'
import { idOf } from '../monitor/alerts/notice-id.ts'

/** The same for the same run, so that it is told once however often it is noted. */
export function successNotice(
  { id, cluster, startedBy }: RunRequest,
  { result, now }: { readonly result: object; readonly now: Date },
): Notice {
  const backupId = 'backupId' in result ? String(result.backupId) : ''
  return {
    id: idOf(['success', id]),
    kind: 'success',
    at: now.toISOString(),
    incident: `run-${idOf([id])}`,
    severity: 'info',
    cluster,
    headline: `${cluster}: the backup ${backupId} is complete and can be restored`,
    alerts: [],
    lines: [`Asked for by: ${startedBy}.`],
  }
}
