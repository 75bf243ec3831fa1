/** How a plan of a native restore is shown: what is lost and what it takes comes before how to go on. */
import type { NativeSteps } from '../engine/native/restore.ts'
import type { NativeRestorePlan } from '../supabase/management/native-restore.ts'
import { formatDuration, renderFields } from './format.ts'

export function renderNativePlan(
  plan: NativeRestorePlan,
  { steps, now }: { readonly steps: NativeSteps; readonly now: Date },
): string {
  const { projectName, projectRef, organization, target, window, madeAt, warnings } = plan
  const lostMs = Math.max(0, now.getTime() - Date.parse(target))
  const fields = renderFields([
    ['project', `${projectName} (${projectRef}) of ${organization}: OVERWRITTEN IN PLACE`],
    ['target', target],
    ['lost', `everything committed after it: ${formatDuration(lostMs)} of work until now`],
    ['Supabase can restore', `${window.earliest} to ${window.latest}`],
    ['planned', madeAt],
  ])
  return [
    fields,
    ['What it means:', ...warnings.map((warning) => `  ${warning}`)].join('\n'),
    renderSteps('Before, on the server as it is:', steps.before),
    renderSteps("Afterwards, to have Retake's own protection again:", steps.after),
  ].join('\n\n')
}

export function renderSteps(title: string, steps: readonly string[]): string {
  return [title, ...steps.map((step) => `  ${step}`)].join('\n')
}
