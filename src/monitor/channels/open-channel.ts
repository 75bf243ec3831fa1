/** From configuration to a channel that sends. */
import { RetakeError } from '../../base/errors.ts'
import type { Channel, ChannelSurroundings } from './channel.ts'
import { type ChannelConfig, isSafeAddress } from './config.ts'
import { openDiscord } from './discord.ts'
import { openEmail } from './email.ts'
import type { Fetch } from './http.ts'
import { openNtfy } from './ntfy.ts'
import { openPagerDuty } from './pagerduty.ts'
import { readSecret, type SecretSource } from './secret.ts'
import { openSlackBot, openSlackWebhook } from './slack.ts'
import { openTeams } from './teams.ts'
import { openTelegram } from './telegram.ts'
import { openWebhook } from './webhook.ts'

export interface OpenChannelOptions {
  /** Where secrets given as `env` are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Default: the platform's. */
  readonly fetch?: Fetch | undefined
  /** Default: the wall clock. */
  readonly now?: (() => Date) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads the channel's secrets and gives back what sends. Nothing is sent, and no connection is opened or kept.
 * @throws RetakeError `config.invalid`, `timeout`, `aborted`
 */
export async function openChannel(config: ChannelConfig, options: OpenChannelOptions): Promise<Channel> {
  const surroundings: ChannelSurroundings = { fetch: options.fetch ?? fetch, now: options.now ?? (() => new Date()) }
  const read = (source: SecretSource, what: string) =>
    readSecret(source, {
      env: options.env,
      what: `the ${what} of the channel "${config.name}"`,
      signal: options.signal,
    })
  const token = async (source: SecretSource, what: string) => assertToken(await read(source, what), what, config.name)
  const address = async (source: SecretSource) =>
    assertAddress(await read(source, 'address'), { name: config.name, anyHttp: config.kind === 'webhook' })
  switch (config.kind) {
    case 'email':
      return openEmail(config, { password: config.password && (await read(config.password, 'password')) }, surroundings)
    case 'slack-webhook':
      return openSlackWebhook(config, await address(config.url), surroundings)
    case 'slack-bot':
      return openSlackBot(config, await token(config.token, 'token'), surroundings)
    case 'webhook':
      return openWebhook(
        config,
        { url: await address(config.url), secret: await read(config.secret, 'secret') },
        surroundings,
      )
    case 'discord':
      return openDiscord(config, await address(config.url), surroundings)
    case 'teams':
      return openTeams(config, await address(config.url), surroundings)
    case 'pagerduty':
      return openPagerDuty(config, await token(config.routingKey, 'routing key'), surroundings)
    case 'ntfy': {
      const topic = await token(config.topic, 'topic')
      return openNtfy(config, { topic, token: config.token && (await token(config.token, 'token')) }, surroundings)
    }
    case 'telegram':
      return openTelegram(config, await token(config.token, 'token'), surroundings)
  }
}

/** What no header or path can carry is refused here, because the platform's own message would repeat it. */
function assertToken(value: string, what: string, name: string): string {
  if (/^[\w:.+/=-]+$/.test(value)) return value
  throw new RetakeError('config.invalid', `The ${what} of the channel "${name}" holds characters that none has.`, {
    hint: 'Copy it again from where it was made, and nothing besides it.',
  })
}

function assertAddress(value: string, { name, anyHttp }: { readonly name: string; readonly anyHttp: boolean }): string {
  if (isSafeAddress(value, { anyHttp })) return value
  throw new RetakeError('config.invalid', `The address of the channel "${name}" cannot be used.`, {
    hint: anyHttp
      ? 'It begins with https:// or http://, and holds no user and no password.'
      : 'It begins with https:// (http:// is for this machine only), and holds no user and no password.',
  })
}
