/** An action that may be asked for again, because its answer was lost, has its effect once. */
import { createHash } from 'node:crypto'
import { toRetakeError } from '../../base/errors.ts'
import type { Logger } from '../../base/progress.ts'
import type { Call, Caller, KeyServices, StoredAnswer } from '../services.ts'
import type { RequestInput } from './read-input.ts'
import { refusal } from './refusals.ts'

/** @throws RetakeError `api.invalid` */
export function readKey(header: string | null): string | undefined {
  if (header === null) return undefined
  // The draft writes it as a quoted text; what people send is bare.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (/^[\x21-\x7e]{1,200}$/.test(key)) return key
  throw refusal(
    'api.invalid',
    'The Idempotency-Key is empty, too long, or holds strange characters. Nothing was changed.',
    {
      status: 400,
      fields: [{ in: 'header', field: 'Idempotency-Key', message: '1 to 200 visible ASCII characters are expected' }],
    },
  )
}

/** Of the key and whoever uses it: fit to be part of an id, and nobody meets the key of another. */
export function scopedKey(key: string, by: Caller): string {
  return hash([by.kind, by.name ?? '', key])
}

/** The same for the same request, however its JSON was written. */
export function fingerprintOf(request: {
  readonly method: string
  readonly path: string
  readonly input: RequestInput
}): string {
  return hash([request.method, request.path, canonical(request.input)])
}

export interface OnceOptions extends Call {
  readonly key: string
  readonly fingerprint: string
  readonly logger: Logger
}

export interface OnceAnswer extends StoredAnswer {
  readonly isReplay: boolean
}

/** Only an answer is kept: what failed may be asked for again with the same key. */
export async function once(
  keys: KeyServices,
  { key, fingerprint, logger, signal }: OnceOptions,
  work: () => Promise<StoredAnswer>,
): Promise<OnceAnswer> {
  const claim = await keys.claimKey({ key, fingerprint }, { signal })
  if (claim.state === 'answered') return { ...claim.answer, isReplay: true }
  if (claim.state === 'working') {
    throw refusal('api.busy', 'The same request is being worked on. It has its effect once.', {
      status: 409,
      hint: 'Ask again with the same Idempotency-Key for its answer.',
      headers: { 'retry-after': '1' },
    })
  }
  if (claim.state === 'other') {
    throw refusal('api.conflict', 'The Idempotency-Key was used before, for another request. Nothing was changed.', {
      status: 422,
      hint: 'Use a new key for each request, and the same only to repeat it.',
    })
  }
  try {
    const answer = await work()
    await keys.settleKey(key, answer).catch((error: unknown) => {
      // It was done, which is what its answer says; only a repetition would not find the answer.
      logger.warn('An answer could not be kept for its Idempotency-Key.', { cause: toRetakeError(error).message })
    })
    return { ...answer, isReplay: false }
  } catch (error) {
    await keys.releaseKey(key).catch((failure: unknown) => {
      logger.warn('An Idempotency-Key could not be given back.', { cause: toRetakeError(failure).message })
    })
    throw error
  }
}

function hash(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  )
}
