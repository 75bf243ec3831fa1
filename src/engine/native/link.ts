/** From the configuration to the Management API of a Supabase project. */
import { RetakeError } from '../../base/errors.ts'
import { SupabaseManagement } from '../../supabase/management/api.ts'
import type { ManagementOptions } from '../../supabase/management/http.ts'
import type { RetakeSettings } from '../open.ts'
import { runSecretCommand } from '../secret-command.ts'

export interface NativeLink {
  /** The project's reference. */
  readonly ref: string
  readonly api: SupabaseManagement
}

type LinkOptions = Pick<ManagementOptions, 'timeoutMs' | 'maxAttempts' | 'maxWaitMs'> & {
  readonly signal?: AbortSignal | undefined
}

const TOKEN_COMMAND = {
  what: 'management token',
  variable: 'RETAKE_SUPABASE_TOKEN_COMMAND (or supabaseTokenCommand)',
  failure: 'supabase.denied',
} as const

/** @throws RetakeError `config.invalid` without a project or an address that can be used; `supabase.denied` without a token */
export async function openNativeLink(settings: RetakeSettings, options: LinkOptions = {}): Promise<NativeLink> {
  const { supabaseProject: ref, supabaseApiUrl: url } = settings.config
  if (ref === undefined) {
    throw new RetakeError('config.invalid', 'No Supabase project is configured.', {
      hint: 'Set RETAKE_SUPABASE_PROJECT, or write "supabaseProject: …" into retake.config.yaml.',
    })
  }
  const { signal, ...limits } = options
  const token = await loadToken(settings, signal)
  return { ref, api: new SupabaseManagement({ token, url, clock: settings.clock, ...limits }) }
}

async function loadToken({ config }: RetakeSettings, signal: AbortSignal | undefined): Promise<string> {
  const { supabaseToken, supabaseTokenCommand } = config
  if (supabaseToken !== undefined) return supabaseToken
  if (supabaseTokenCommand !== undefined) return runSecretCommand(supabaseTokenCommand, { ...TOKEN_COMMAND, signal })
  throw new RetakeError('supabase.denied', 'There is no management token, so Supabase cannot be asked.', {
    hint: 'Set RETAKE_SUPABASE_TOKEN or SUPABASE_ACCESS_TOKEN, or configure supabaseTokenCommand. Tokens are made at https://supabase.com/dashboard/account/tokens.',
  })
}
