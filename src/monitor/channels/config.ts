/** What may stand in the configuration of channels. Secrets are named by where they are, never written out. */
import * as z from 'zod'
import type { SecretSource } from './secret.ts'

interface Named {
  /** 1 to 32 lower-case letters, digits, dashes; receipts and messages name it. */
  readonly name: string
}

export interface EmailConfig extends Named {
  readonly kind: 'email'
  /** `smtp://host[:587]` (STARTTLS, required), `smtps://host[:465]` (TLS from the start). */
  readonly server: string
  /** `none` sends in the clear, and never a password except on this machine. Default: as `server` says. */
  readonly tls?: 'none' | undefined
  /** PEM certificates to trust besides the system's, for a server with one of its own. */
  readonly caFile?: string | undefined
  readonly user?: string | undefined
  readonly password?: SecretSource | undefined
  /** `Retake <retake@example.org>` */
  readonly from: string
  readonly to: readonly string[]
}

export interface SlackWebhookConfig extends Named {
  readonly kind: 'slack-webhook'
  readonly url: SecretSource
}

export interface SlackBotConfig extends Named {
  readonly kind: 'slack-bot'
  readonly token: SecretSource
  /** Its id (`C0123456789`), or its name. */
  readonly channel: string
  /** Default: `https://slack.com/api`. */
  readonly server?: string | undefined
}

export interface WebhookConfig extends Named {
  readonly kind: 'webhook'
  readonly url: SecretSource
  /** `whsec_` and base64 of 24 to 64 bytes: what the receiver checks signatures with. */
  readonly secret: SecretSource
}

export interface DiscordConfig extends Named {
  readonly kind: 'discord'
  readonly url: SecretSource
}

export interface TeamsConfig extends Named {
  readonly kind: 'teams'
  readonly url: SecretSource
}

export interface PagerDutyConfig extends Named {
  readonly kind: 'pagerduty'
  readonly routingKey: SecretSource
  /** Default: `https://events.pagerduty.com`; accounts in Europe have `https://events.eu.pagerduty.com`. */
  readonly server?: string | undefined
}

export interface NtfyConfig extends Named {
  readonly kind: 'ntfy'
  /** Default: `https://ntfy.sh`. */
  readonly server?: string | undefined
  /** On a public server, whoever knows the topic reads it. */
  readonly topic: SecretSource
  readonly token?: SecretSource | undefined
}

export interface TelegramConfig extends Named {
  readonly kind: 'telegram'
  readonly token: SecretSource
  /** A number, or `@channelname`. */
  readonly chat: string
  /** Default: `https://api.telegram.org`. */
  readonly server?: string | undefined
}

export type ChannelConfig =
  | EmailConfig
  | SlackWebhookConfig
  | SlackBotConfig
  | WebhookConfig
  | DiscordConfig
  | TeamsConfig
  | PagerDutyConfig
  | NtfyConfig
  | TelegramConfig

const text = z.string().min(1).max(1000)

const secret: z.ZodType<SecretSource> = z.union(
  [z.strictObject({ env: text }), z.strictObject({ file: text }), z.strictObject({ command: text })],
  { error: 'a secret is given as { env: NAME }, { file: PATH } or { command: "COMMAND" }, never as itself' },
)

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, {
  error: 'a channel\'s name is 1 to 32 lower-case letters, digits or "-"',
})

/** With a key sent along, only encrypted, except on this machine. */
const server = z.string().refine((value) => isSafeAddress(value), {
  error: 'an address begins with https:// and holds no password (http:// is for this machine only)',
})

/** ntfy is often a server of one's own, inside a private network. */
const ntfyServer = z.string().refine((value) => isSafeAddress(value, { anyHttp: true }), {
  error: 'an address begins with https:// or http:// and holds no password',
})

const mailServer = z.string().refine(isMailServer, {
  error: 'a mail server is written as smtp://host, smtp://host:587 or smtps://host:465, without user and password',
})

/** One address with or without a name before it; a line break or a comma would make another header or recipient of it. */
const mailAddress = z
  .string()
  .max(320)
  .regex(/^(?:[^<>,;:@\p{Cc}]*<[^<>@\s,;]+@[^<>@\s,;]+>|[^<>@\s,;]+@[^<>@\s,;]+)$/u, {
    error: 'a mail address is written as ops@example.org or Retake <retake@example.org>',
  })

const email = z
  .strictObject({
    kind: z.literal('email'),
    name,
    server: mailServer,
    tls: z.literal('none').optional(),
    caFile: text.optional(),
    user: text.optional(),
    password: secret.optional(),
    from: mailAddress,
    to: z.array(mailAddress).min(1).max(50),
  })
  .refine(({ user, password }) => (user === undefined) === (password === undefined), {
    error: 'a mail server takes a user and a password, or neither',
  })
  .refine(({ server: address, tls }) => tls === undefined || !address.startsWith('smtps:'), {
    error: 'smtps:// is encrypted; leave `tls: none` away or write smtp://',
  })
  .refine(({ server: address, tls, password }) => tls === undefined || password === undefined || isLocal(address), {
    error: 'a password is not sent in the clear: leave `tls: none` away',
  })

export const channelSchema = z.discriminatedUnion('kind', [
  email,
  z.strictObject({ kind: z.literal('slack-webhook'), name, url: secret }),
  z.strictObject({ kind: z.literal('slack-bot'), name, token: secret, channel: text, server: server.optional() }),
  z.strictObject({ kind: z.literal('webhook'), name, url: secret, secret }),
  z.strictObject({ kind: z.literal('discord'), name, url: secret }),
  z.strictObject({ kind: z.literal('teams'), name, url: secret }),
  z.strictObject({ kind: z.literal('pagerduty'), name, routingKey: secret, server: server.optional() }),
  z.strictObject({
    kind: z.literal('ntfy'),
    name,
    server: ntfyServer.optional(),
    topic: secret,
    token: secret.optional(),
  }),
  z.strictObject({
    kind: z.literal('telegram'),
    name,
    token: secret,
    chat: z.string().regex(/^(?:-?\d{1,20}|@\w{3,64})$/, { error: 'a chat is a number, or @channelname' }),
    server: server.optional(),
  }),
])

export const channelsSchema = z
  .array(channelSchema)
  .max(100)
  .refine((list) => new Set(list.map((channel) => channel.name)).size === list.length, {
    error: 'each channel has a name of its own',
  })

export interface AddressRule {
  /** Also plain http to other machines. */
  readonly anyHttp?: boolean | undefined
}

export function isSafeAddress(value: string, { anyHttp = false }: AddressRule = {}): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  if (url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && (anyHttp || isLocal(value)))
}

function isLocal(address: string): boolean {
  // The host of an address that is not http is read as it is written; with another scheme it is read like one.
  const { hostname } = new URL(address.replace(/^\w+:/, 'http:'))
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}

function isMailServer(value: string): boolean {
  if (!/^smtps?:\/\//.test(value) || !URL.canParse(value)) return false
  const url = new URL(value)
  return (
    url.hostname !== '' && url.username === '' && url.password === '' && /^\/?$/.test(url.pathname) && url.search === ''
  )
}
