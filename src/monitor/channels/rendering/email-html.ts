/**
 * A notice as the HTML part of a mail: styles inside the elements (most programs drop style sheets), nothing from elsewhere, colours
 * that are readable on white and on black. Everything that comes from outside is escaped. Pure.
 */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, fitItems } from './fit.ts'
import { composeMessage, type MessageItem, type Tone } from './message.ts'

/** Gmail cuts a message at 102 KB; after encoding there must be room left. */
const BUDGET = 60 * 1024
const MOST_LINES = 200

const BARS: Readonly<Record<Tone, string>> = {
  critical: '#d32f2f',
  warning: '#e08600',
  info: '#1976d2',
  good: '#2e8b3d',
  quiet: '#757575',
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => ENTITIES[mark] ?? mark)
}

export function renderEmailHtml(notice: Notice, options: RenderOptions = {}): string {
  const message = composeMessage(notice, options)
  const lines = message.lines.slice(0, MOST_LINES)
  const fittedLines = fitItems(lines.map(paragraph), { budget: BUDGET / 2, cost: (text) => text.length })
  const spent = fittedLines.shown.reduce((sum, text) => sum + text.length, 0)
  const items = fitItems(message.items.map(item), { budget: BUDGET - spent, cost: (text) => text.length })
  const hiddenLines = message.lines.length - fittedLines.shown.length
  const links = message.links.map(
    ({ label, url }) =>
      `<a href="${escapeHtml(url)}" style="display:inline-block;margin:0 12px 8px 0;padding:8px 14px;border:1px solid #1976d2;border-radius:4px;color:#1976d2;text-decoration:none;font-weight:bold">${escapeHtml(label)}</a>`,
  )
  return [
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">',
    `<title>${escapeHtml(message.firstLine)}</title></head>`,
    '<body style="margin:0;padding:16px;font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45">',
    `<div style="border-left:4px solid ${BARS[message.tone]};padding:2px 0 2px 14px;max-width:640px">`,
    `<p style="margin:0 0 12px;font-size:18px;font-weight:bold">${escapeHtml(message.firstLine)}</p>`,
    ...fittedLines.shown,
    hiddenLines > 0 ? paragraph(andMore(hiddenLines, 'line')) : '',
    ...items.shown,
    items.hidden > 0 ? paragraph(andMore(items.hidden, message.itemName)) : '',
    links.length > 0 ? `<p style="margin:16px 0 4px">${links.join('')}</p>` : '',
    `<p style="margin:12px 0 0;font-size:12px;color:#757575">${escapeHtml(message.footer)}</p>`,
    '</div></body></html>',
  ].join('')
}

function paragraph(text: string): string {
  return `<p style="margin:0 0 8px">${escapeHtml(text)}</p>`
}

function item({ heading, rows }: MessageItem): string {
  const cells = rows.map(
    ({ label, text }) =>
      `<tr><td style="padding:1px 12px 1px 0;vertical-align:top;color:#757575;white-space:nowrap">${escapeHtml(label)}</td>` +
      `<td style="padding:1px 0;vertical-align:top">${escapeHtml(text).replaceAll('\n', '<br>')}</td></tr>`,
  )
  return (
    `<p style="margin:12px 0 2px;font-weight:bold">${escapeHtml(heading)}</p>` +
    `<table role="presentation" cellpadding="0" cellspacing="0" style="border-collapse:collapse;font-size:14px">${cells.join('')}</table>`
  )
}
