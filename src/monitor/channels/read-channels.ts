/** Channels from outside: from a file, a form, a program. */
import { RetakeError } from '../../base/errors.ts'
import { type ChannelConfig, channelsSchema } from './config.ts'

/**
 * Checks a list of channels. What is wrong is said with its place and without its value, which may be a secret in the wrong place.
 * @throws RetakeError `config.invalid`
 */
export function readChannels(value: unknown): readonly ChannelConfig[] {
  const parsed = channelsSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const place = (issue?.path ?? [])
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
  throw new RetakeError('config.invalid', `channels${place} cannot be used: ${issue?.message ?? 'unknown reason'}.`, {
    hint: 'docs/channels.md shows what each kind of channel takes.',
  })
}
