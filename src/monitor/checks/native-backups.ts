/**
 * Supabase's own backups, beside those of Retake. They win no points and lift no cap: they are restored by Supabase alone, in place,
 * and are deleted with the project. So a failure here is a warning, and the finding says who covers what.
 */
import { attempt } from '../../base/attempt.ts'
import { judgeNative, NATIVE_MAX_AGE_MS } from '../../supabase/native/judge.ts'
import type { NativeState } from '../../supabase/native/state.ts'
import type { Measurements } from './measurements.ts'
import { failed, type Outcome, passed, skipped, unknown } from './result.ts'
import type { HealthCheck } from './run-checks.ts'
import type { HealthSources } from './sources.ts'

/** What Retake holds is another check's matter; when it cannot be told soon, this one goes without. */
const OWN_LIMIT_MS = 5_000

export const nativeBackups: HealthCheck<'native-backups'> = {
  name: 'native-backups',
  title: "Supabase's own backups",
  patience: 3,
  run: async (sources, signal) => {
    if (sources.settings.config.supabaseProject === undefined) {
      return skipped('No Supabase project is configured.')
    }
    const [native, usable] = await Promise.all([sources.native(), countUsable(sources, signal)])
    if (!native) return skipped('No Supabase project is configured.')
    return judgeNativeBackups(native, usable)
  },
}

/** Undefined: not known. */
async function countUsable(sources: HealthSources, signal: AbortSignal): Promise<number | undefined> {
  const options = { limitMs: OWN_LIMIT_MS, what: 'reading the repository', hint: 'retake doctor', signal }
  const asked = await attempt(() => sources.holdings(), options)
  return 'value' in asked ? asked.value.backups.length - asked.value.report.strandedBackups.length : undefined
}

/** @param usable how many backups of Retake itself can be restored; undefined when that is not known */
export function judgeNativeBackups(
  native: NativeState,
  usable: number | undefined,
): Outcome<Measurements['native-backups']> {
  const { state, finding, fix = 'retake backups' } = judgeNative(native)
  const measured = measuredOf(native, usable)
  const sentence = `${finding} ${whoCovers(native, usable)}`
  if (state === 'passed' && measured) return passed(sentence, measured)
  if (state === 'failed') return failed(sentence, { severity: 'warning', fix, ...(measured ? { measured } : {}) })
  const outcome = unknown<Measurements['native-backups']>(sentence, { fix, ...(measured ? { measured } : {}) })
  return native.code === undefined ? outcome : { ...outcome, code: native.code }
}

function whoCovers({ window }: NativeState, usable: number | undefined): string {
  if (usable === undefined) return 'What Retake itself holds is not known here.'
  if (usable > 0)
    return `Retake holds ${usable === 1 ? 'one backup' : `${usable} backups`} of its own that need no Supabase.`
  return window
    ? 'Retake itself holds none that can be restored: only Supabase can restore this project, in place, and all of it is deleted with the project.'
    : 'Retake itself holds none that can be restored either.'
}

function measuredOf(native: NativeState, usable: number | undefined): Measurements['native-backups'] | undefined {
  const { mode, window, backups, ageMs, retentionDays } = native
  if (mode === 'unknown') return undefined
  return {
    project: native.project,
    projectStatus: native.projectStatus,
    pitr: mode === 'pitr',
    count: backups.filter(({ status }) => status === 'success').length,
    failed: backups.filter(({ status }) => status === 'failed').length,
    ...(window ? { from: window.earliest, to: window.latest } : {}),
    ...(ageMs === undefined ? {} : { ageMs }),
    maxAgeMs: NATIVE_MAX_AGE_MS,
    ...(retentionDays === 'unknown' ? {} : { retentionDays }),
    coveredBy: coveredBy(window !== undefined, usable),
  }
}

function coveredBy(isNative: boolean, usable: number | undefined): Measurements['native-backups']['coveredBy'] {
  if (usable === undefined) return 'unknown'
  if (usable > 0) return isNative ? 'both' : 'retake'
  return isNative ? 'supabase' : 'nobody'
}
