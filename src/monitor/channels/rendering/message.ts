/** A notice as people read it, before any channel's markup: what every rendering starts from. Pure. */

import type { Notice, NoticeAlert, NoticeSection } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { cleanLine, cleanText, clip } from './fit.ts'

/** For colours and signs. */
export type Tone = 'critical' | 'warning' | 'info' | 'good' | 'quiet'

export interface MessageRow {
  readonly label: string
  readonly text: string
}

export interface MessageItem {
  readonly heading: string
  readonly rows: readonly MessageRow[]
}

export interface MessageLink {
  readonly label: string
  readonly url: string
}

export interface Message {
  readonly tone: Tone
  /** Readable on a watch. */
  readonly firstLine: string
  readonly lines: readonly string[]
  readonly items: readonly MessageItem[]
  /** What they are: alerts, or alerts among others. */
  readonly itemName: 'alert' | 'item'
  readonly links: readonly MessageLink[]
  /** Where it comes from and when; for the small print. */
  readonly footer: string
}

const LONGEST_LINE = 500
const LONGEST_TEXT = 1000

/** Every text is clean, without markup of any kind, and of bounded length; the lists are complete. */
export function composeMessage(notice: Notice, options: RenderOptions = {}): Message {
  const lines = (notice.lines ?? []).map((line) => clip(cleanLine(line), LONGEST_LINE)).filter((line) => line !== '')
  const { sections = [], alerts } = notice
  // What is over comes last.
  const isOver = ({ resolvedAt }: NoticeAlert) => sections.length > 0 && resolvedAt !== undefined
  const alertItems = (list: readonly NoticeAlert[]) => list.map((alert) => itemOf(notice, alert))
  return {
    tone: toneOf(notice),
    firstLine: firstLine(notice),
    lines: [...guidance(notice, options), ...lines],
    items: [
      ...alertItems(alerts.filter((alert) => !isOver(alert))),
      ...sections.map(sectionItem),
      ...alertItems(alerts.filter(isOver)),
    ],
    itemName: sections.length > 0 ? 'item' : 'alert',
    links: linksOf(options),
    footer: [
      'Retake',
      ...(notice.cluster === undefined ? [] : [clip(cleanLine(notice.cluster), 100)]),
      readableInstant(notice.at),
      `incident ${clip(cleanLine(notice.incident), 64)}`,
    ].join(' · '),
  }
}

/** What has happened, how bad it is, what it means: the first line of every message, and the whole of it on a watch. */
export function firstLine(notice: Notice): string {
  const label = labelOf(notice)
  const headline = cleanLine(notice.headline)
  if (startsWithWord(headline, label)) return clip(headline, LONGEST_LINE)
  const severity = notice.severity.toUpperCase()
  // A headline that says how bad it is keeps its words; what has become of it is said in the place of that.
  const rest = startsWithWord(headline, severity) ? headline.slice(severity.length).replace(/^[\s:,–-]+/, '') : headline
  return clip(rest === '' ? label : `${label}: ${rest}`, LONGEST_LINE)
}

function labelOf(notice: Notice): string {
  const severity = notice.severity.toUpperCase()
  switch (notice.kind) {
    case 'fired':
      return severity
    case 'reminder':
      return `STILL ${severity}`
    case 'escalated':
      return notice.level === undefined ? `${severity}, ESCALATED` : `${severity}, LEVEL ${notice.level}`
    case 'broadcast':
      return `${severity}, NOBODY ANSWERED`
    case 'refired':
      return `${severity} AGAIN`
    case 'acknowledged':
    case 'resolved':
    case 'withdrawn':
    case 'flapping':
    case 'digest':
    case 'canary':
    case 'test':
    case 'success':
      return notice.kind.toUpperCase()
  }
}

function startsWithWord(text: string, word: string): boolean {
  return text.slice(0, word.length).toUpperCase() === word && !/^[\p{L}\p{N}]/u.test(text.slice(word.length))
}

function toneOf({ kind, severity, isOver = true }: Notice): Tone {
  if (kind === 'success' || (kind === 'resolved' && isOver)) return 'good'
  if (['acknowledged', 'resolved', 'withdrawn', 'flapping'].includes(kind)) return 'quiet'
  return kind === 'canary' || kind === 'test' || kind === 'digest' ? 'info' : severity
}

function itemOf(notice: Notice, alert: NoticeAlert): MessageItem {
  const over = alert.resolvedAt !== undefined
  const heading = [alert.title, alert.cluster].map(cleanLine).filter((text) => text !== '')
  const isOneOfMany = notice.alerts.length > 1 || notice.kind === 'digest'
  const state = over ? 'RESOLVED ' : isOneOfMany ? `${alert.severity.toUpperCase()} ` : ''
  return {
    heading: clip(`${state}${heading.join(' · ') || cleanLine(alert.rule) || 'An alert'}`, LONGEST_LINE),
    rows: [
      ...row('Found', alert.finding),
      ...row('Effect', alert.effect),
      // What is over needs no step any more.
      ...(over ? [] : row('Do', alert.fix)),
      ...row('Since', over ? undefined : readableInstant(alert.since)),
      ...row('Lasted', over ? lastedText(alert) : undefined),
      ...row('Acknowledged by', alert.acknowledgedBy),
    ],
  }
}

function sectionItem({ heading, rows }: NoticeSection): MessageItem {
  return {
    heading: clip(cleanLine(heading), LONGEST_LINE) || 'Note',
    rows: rows.flatMap(({ label, text }) => row(labelText(label), text)),
  }
}

/** Labels are words, which no markup needs to be kept from. */
function labelText(label: string): string {
  return clip(cleanLine(label.toWellFormed().replace(/[^\p{L}\p{N} ]/gu, ' ')), 40) || 'Note'
}

function row(label: string, text: string | undefined): MessageRow[] {
  const clean = clip(cleanText(text ?? '').trim(), LONGEST_TEXT)
  return clean === '' ? [] : [{ label, text: clean }]
}

function lastedText(alert: NoticeAlert): string {
  const { since, resolvedAt = '' } = alert
  const ms = Date.parse(resolvedAt) - Date.parse(since)
  const span = `${readableInstant(since)} to ${readableInstant(resolvedAt)}`
  return Number.isFinite(ms) && ms >= 0 ? `${readableDuration(ms)} (${span})` : span
}

/** `3 h 20 min`: two units at most. */
function readableDuration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return 'less than a second'
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** `2026-11-22 09:04:11 UTC`; what is no instant stays as it is. */
function readableInstant(text: string): string {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) return clip(cleanLine(text), 40)
  return `${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)} UTC`
}

function linksOf({ links = {} }: RenderOptions): MessageLink[] {
  const wanted = [
    ['Confirm that it arrived', links.confirm],
    ['Acknowledge', links.acknowledge],
    ['Open', links.open],
  ] as const
  return wanted.flatMap(([label, url]) => {
    const safe = safeAddress(url)
    return safe === undefined ? [] : [{ label, url: safe }]
  })
}

const LONGEST_ADDRESS = 2000

/** Only addresses that a reader may follow without harm, encoded so that no markup can end in the middle of one. */
function safeAddress(address: string | undefined): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined
  const url = new URL(address)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined
  const text = url.href.replace(/[()<>'"\\|*_~`[\]]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
  return text.length > LONGEST_ADDRESS ? undefined : text
}

function guidance(notice: Notice, options: RenderOptions): string[] {
  if (notice.kind === 'test') return ['Somebody tries this channel. Nothing needs to be done.']
  if (notice.kind !== 'canary') return []
  const asks = 'This asks whether notices arrive here. Nothing is wrong.'
  const code = options.confirmationCode
  if (code !== undefined) return [asks, `Confirmation code: ${clip(cleanLine(code), 100)}`]
  return options.links?.confirm === undefined ? [asks] : [`${asks} Confirm it with the link.`]
}
