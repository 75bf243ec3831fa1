/** Answers as JSON, with a tag by which a poll that finds nothing new is answered without them. */
import { createHash } from 'node:crypto'
import type { StoredAnswer } from '../services.ts'

/** https://www.rfc-editor.org/rfc/rfc9110#name-etag */
export function etagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
}

/** https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match */
export function isUnchanged(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || tags.includes('*')
}

export function readAnswer(body: string, ifNoneMatch: string | null): Response {
  const etag = etagOf(body)
  // Kept by nobody but who asked, and never used without asking again.
  const headers = { etag, 'cache-control': 'private, no-cache' }
  if (isUnchanged(ifNoneMatch, etag)) return new Response(null, { status: 304, headers })
  return new Response(body, { status: 200, headers: { ...headers, 'content-type': 'application/json' } })
}

export function actionAnswer({ status, body }: StoredAnswer, isReplay: boolean): Response {
  return new Response(body, {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(isReplay ? { 'idempotency-replayed': 'true' } : {}),
    },
  })
}
