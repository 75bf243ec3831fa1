/** Mail: text and HTML, one thread per incident, marked as made by a program. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { Notice } from '../alerts/notice.ts'
import {
  type Channel,
  type ChannelSurroundings,
  DELIVERY_LIMIT_MS,
  makeReceipt,
  type Receipt,
  receiptOf,
  type SendOptions,
} from './channel.ts'
import type { EmailConfig } from './config.ts'
import { renderEmailHtml } from './rendering/email-html.ts'
import { cleanLine, clip } from './rendering/fit.ts'
import { firstLine } from './rendering/message.ts'
import { renderPlainText } from './rendering/plain-text.ts'
import { type SmtpServer, sendMail } from './smtp.ts'

/** RFC 5322 section 2.1.1 asks for lines of 78; a phone shows less. */
const LONGEST_SUBJECT = 150

export interface EmailSecrets {
  readonly password?: string | undefined
}

export function openEmail(config: EmailConfig, secrets: EmailSecrets, { now }: ChannelSurroundings): Channel {
  const channel = { name: config.name, kind: 'email' } as const
  return {
    ...channel,
    async send(notice, options = {}) {
      const previous = receiptOf(channel, notice, options)
      const subject = subjectOf(notice, previous)
      const messageId = messageIdOf(config, notice.id)
      const server = await serverOf(config, secrets)
      const raw = await composeMail(notice, { config, options, subject, messageId, previous })
      const refused = await sendMail(
        {
          from: bareAddress(config.from),
          to: config.to.map(bareAddress),
          raw,
          reportAs: notice.kind === 'canary' ? digestOf(notice.id) : undefined,
        },
        { server, timeoutMs: options.timeoutMs ?? DELIVERY_LIMIT_MS, signal: options.signal },
      )
      return makeReceipt(channel, notice, {
        at: now(),
        message: messageId,
        first: previous?.first ?? messageId,
        subject: previous?.subject ?? subject,
        ...(refused.length > 0 ? { refused } : {}),
      })
    },
  }
}

interface ComposeOptions {
  readonly config: EmailConfig
  readonly options: SendOptions
  readonly subject: string
  readonly messageId: string
  readonly previous?: Receipt | undefined
}

async function composeMail(
  notice: Notice,
  { config, options, subject, messageId, previous }: ComposeOptions,
): Promise<Buffer> {
  const references = [...new Set([previous?.first, previous?.message])].filter(
    (id) => id !== undefined && id !== messageId,
  )
  const parent = references.at(-1)
  // Loaded by who sends mail only.
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer')
  return await new MailComposer({
    from: config.from,
    to: [...config.to],
    subject,
    messageId,
    date: new Date(notice.at),
    ...(parent === undefined ? {} : { inReplyTo: parent, references: references.join(' ') }),
    text: renderPlainText(notice, options),
    html: renderEmailHtml(notice, options),
    headers: {
      // RFC 3834: no out-of-office note answers it; Exchange reads its own header instead.
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      // RFC 2919: what people sort by.
      'List-Id': { prepared: true, value: listId(config) },
      'X-Retake-Notice': notice.kind,
      ...(notice.severity === 'critical' && parent === undefined ? { Importance: 'high' } : {}),
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build()
}

/** Programs that show threads want the same subject besides the references; the first line of the text says what is new. */
function subjectOf(notice: Notice, previous: Receipt | undefined): string {
  if (previous?.subject !== undefined) return `Re: ${previous.subject}`
  return clip(firstLine(notice), LONGEST_SUBJECT)
}

/** A notice that is sent again has the same id, so that it is shown once. */
function messageIdOf(config: EmailConfig, id: string): string {
  return `<retake-${digestOf(`${config.name}\0${id}`)}@${domainOf(config.from)}>`
}

function listId(config: EmailConfig): string {
  return `Retake notices <${config.name}.retake.${domainOf(config.from)}>`
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function bareAddress(address: string): string {
  return /<([^<>]+)>$/.exec(address)?.[1] ?? address
}

function domainOf(address: string): string {
  return cleanLine(bareAddress(address).split('@').at(-1) ?? '')
}

async function serverOf(config: EmailConfig, { password }: EmailSecrets): Promise<SmtpServer> {
  const url = new URL(config.server)
  const security = url.protocol === 'smtps:' ? 'implicit' : config.tls === 'none' ? 'none' : 'starttls'
  const usualPort = security === 'implicit' ? 465 : security === 'none' ? 25 : 587
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? usualPort : Number(url.port),
    security,
    ca: config.caFile === undefined ? undefined : await readAuthority(config.caFile),
    user: config.user,
    password,
  }
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new RetakeError(
      'config.invalid',
      `The certificates in ${path} cannot be read (${systemErrorCode(error) ?? 'unknown reason'}).`,
      {
        hint: 'Correct `caFile` of the channel.',
        cause: error,
      },
    )
  }
}
