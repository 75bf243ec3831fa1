/** What Retake knows, from where the output of `retake status --json` is published. */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { exchange, type Fetch } from './exchange.ts'
import { bool, list, number, object, optional, type Shaped, text } from './shape.ts'

const PEER = 'the address of Retake'

const edge = object({ lsn: text, at: optional(text) })

export const retakeStatusShape = object({
  schemaVersion: number,
  cluster: text,
  at: text,
  verdict: text,
  reasons: list(object({ code: text, severity: text, message: text, fix: text })),
  backupCount: number,
  lastBackup: optional(object({ backupId: text, label: optional(text), stoppedAt: text })),
  windows: list(object({ timeline: number, from: edge, to: edge })),
  rpo: object({
    state: text,
    behindBytes: optional(number),
    behindMs: optional(number),
    explanation: text,
  }),
  gaps: list(object({ recorded: bool, givenUp: optional(bool), explanation: text })),
})

export type RetakeStatus = Shaped<typeof retakeStatusShape>

export interface RetakeAddress {
  readonly url: string
  /** Sent as a bearer token. */
  readonly token?: string | undefined
  readonly fetch: Fetch
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The newest status that is published there.
 * @throws RetakeError `supabase.*`, `timeout`, `aborted`
 */
export async function fetchRetakeStatus(address: RetakeAddress): Promise<RetakeStatus> {
  const { url, token, fetch, timeoutMs, signal } = address
  const { status, text: body } = await exchange({
    url,
    method: 'GET',
    headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    fetch,
    timeoutMs,
    signal,
    peer: PEER,
    secrets: token === undefined ? [] : [token],
  })
  if (status === 401 || status === 403)
    throw new RetakeError('supabase.denied', `${PEER} refused the token (${status}).`)
  if (status !== 200) throw new RetakeError('supabase.failed', `${PEER} answered with status ${status}.`)
  return parseStatus(body)
}

function parseStatus(body: string): RetakeStatus {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw new RetakeError('supabase.protocol', `${PEER} answered with something that is not JSON.`)
  }
  try {
    const status = retakeStatusShape(value, 'the status')
    if (status.schemaVersion !== 1) {
      throw new RetakeError(
        'supabase.protocol',
        `The status has version ${status.schemaVersion}, which is not known here.`,
      )
    }
    return status
  } catch (error) {
    if (!isRetakeError(error)) throw error
    throw new RetakeError('supabase.protocol', `${PEER}: ${error.message}`, {
      hint: 'Publish there what `retake status --json` prints.',
    })
  }
}
