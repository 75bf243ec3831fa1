/** What Supabase holds, for people: beside Retake's own in `backups`, `window` and `status`. */
import { judgeNative } from '../supabase/native/judge.ts'
import type { NativeState } from '../supabase/native/state.ts'
import { formatAgo, formatDuration, renderTable } from './format.ts'

/** The only way to say what has no list: with point-in-time recovery Supabase names none. */
export function renderNativeBackups(native: NativeState): string {
  const { backups, at } = native
  const now = new Date(at)
  const list =
    backups.length === 0
      ? []
      : [
          renderTable(backups.toReversed(), [
            { title: 'BACKUP', value: ({ id }) => String(id) },
            { title: 'KIND', value: ({ kind }) => kind },
            { title: 'MADE', value: ({ at: made }) => renderMade(made, now) },
            { title: 'STATUS', value: ({ status, rawStatus }) => `${status.replace('_', ' ')} (${rawStatus})` },
          ]),
        ]
  return [titleOf(native), ...list, verdictOf(native)].join('\n\n')
}

export function renderNativeWindow(native: NativeState): string {
  const { window } = native
  const table = window
    ? [
        renderTable(
          [window],
          [
            { title: 'FROM', value: ({ earliest }) => earliest },
            { title: 'TO', value: ({ latest }) => latest },
            {
              title: 'MOMENTS',
              value: ({ granularity }) => (granularity === 'second' ? 'every second' : 'only those of its backups'),
            },
          ],
        ),
      ]
    : []
  return [titleOf(native), ...table, verdictOf(native)].join('\n\n')
}

/** One line; what is wrong stands among the reasons. */
export function nativeSummary(
  native: Pick<NativeState, 'mode' | 'window' | 'ageMs' | 'lag' | 'retentionDays' | 'reason'>,
): string {
  const { mode, window, ageMs, lag, retentionDays, reason } = native
  if (mode === 'unknown') return `unknown. ${reason ?? ''}`.trim()
  if (mode === 'none') return 'lists no backups'
  const what = mode === 'pitr' ? 'point-in-time recovery' : 'daily backups'
  if (!window || ageMs === undefined) return `${what}, and nothing that can be restored is named`
  const idle = lag?.kind === 'idle' ? ', idle since' : ''
  const kept = retentionDays === 'unknown' ? '' : `, kept for ${retentionDays} days`
  const age = ageMs === 0 ? '' : ` (${formatDuration(ageMs)} ago)`
  return `${what} until ${window.latest}${age}${idle}${kept}`
}

function titleOf({ project, name, projectStatus }: NativeState): string {
  const status = projectStatus === 'ACTIVE_HEALTHY' || projectStatus === 'unknown' ? '' : `, ${projectStatus}`
  return `Supabase's own (${name === undefined ? project : `${name}, ${project}`}${status}):`
}

function verdictOf(native: NativeState): string {
  const { state, finding, fix } = judgeNative(native)
  const lines = [state === 'unknown' ? `unknown. ${finding}` : finding, ...(fix === undefined ? [] : [`fix: ${fix}`])]
  return [...lines, 'They are part of the project, restored in place, and deleted with it.'].join('\n')
}

function renderMade(made: string, now: Date): string {
  return Number.isNaN(Date.parse(made)) ? made : `${made} (${formatAgo(new Date(made), now)})`
}
