/** What Supabase holds beside Retake. Nothing of it is needed to restore from Retake, so nothing that fails here stops anybody. */
import { attempt } from '../../base/attempt.ts'
import { type NativeState, readNativeState, unknownNativeState } from '../../supabase/native/state.ts'
import type { RetakeSettings } from '../open.ts'
import { openNativeLink } from './link.ts'

/** Whoever looks at the status waits no longer for somebody else's backups; a limit of rate takes a minute to pass. */
const LIMITS = { timeoutMs: 6_000, maxAttempts: 2, maxWaitMs: 2_000 } as const
const DEFAULT_LIMIT_MS = 15_000

export interface ReadNativeOptions {
  readonly signal?: AbortSignal | undefined
  /** For all of it, ms; default 15,000. */
  readonly limitMs?: number | undefined
}

/**
 * What Supabase holds of the configured project; undefined when none is configured. Who cannot be asked is an unknown with its
 * reason, not an error.
 *
 * ```ts
 * const native = await readNative(retake)
 * console.log(native?.mode, native?.window?.latest)
 * ```
 * @throws RetakeError `aborted`
 */
export async function readNative(
  settings: RetakeSettings,
  { signal, limitMs = DEFAULT_LIMIT_MS }: ReadNativeOptions = {},
): Promise<NativeState | undefined> {
  const { config, clock } = settings
  const ref = config.supabaseProject
  if (ref === undefined) return undefined
  const asked = await attempt(
    async (ending) => {
      const { api } = await openNativeLink(settings, { ...LIMITS, signal: ending })
      return readNativeState(api, { ref, clock, signal: ending })
    },
    { limitMs, what: 'asking Supabase', hint: 'Look at https://status.supabase.com, then ask again.', signal },
  )
  if ('value' in asked) return asked.value
  const { message, code, hint } = asked.error
  return unknownNativeState({ unknown: message, code, fix: hint }, { ref, now: clock.now() })
}

/** Asks Supabase while `own` is at work, and stops asking when that fails. */
export async function readBesideNative<T>(
  settings: RetakeSettings,
  own: () => Promise<T>,
  options: ReadNativeOptions,
): Promise<{ readonly own: T; readonly native: NativeState | undefined }> {
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const asked = readNative(settings, { ...options, signal })
  // It is waited for below; until then nobody listens.
  asked.catch(() => {})
  try {
    const value = await own()
    return { own: value, native: await asked }
  } catch (error) {
    stop.abort(error)
    throw error
  }
}
