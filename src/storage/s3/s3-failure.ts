/** What an error of the SDK or the network means, and what is to be done about it. Pure. */
import { isRetakeError, RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { StorageFailure } from '../storage-errors.ts'

export type FailureKind =
  /** The network, the name, the port, or no answer in time: it may be there again in a moment. */
  | 'unreachable'
  /** The service asks to slow down. */
  | 'throttled'
  /** The service has a problem of its own, or something was lost or altered on the way. */
  | 'transient'
  /** The object exists although it should not, or the other way round. */
  | 'precondition'
  | 'no-object'
  | 'no-upload'
  | 'no-bucket'
  | 'range'
  | 'denied'
  | 'full'
  | 'tls'
  | 'region'
  /** The service understood the request and does not accept it. */
  | 'rejected'

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ERR_STREAM_PREMATURE_CLOSE',
])

/** Answers that have a meaning of their own. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const NAMES: Readonly<Record<string, FailureKind>> = {
  NoSuchKey: 'no-object',
  NoSuchVersion: 'no-object',
  NoSuchUpload: 'no-upload',
  NoSuchBucket: 'no-bucket',
  InvalidRange: 'range',
  PreconditionFailed: 'precondition',
  SlowDown: 'throttled',
  ServiceUnavailable: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  TooManyRequests: 'throttled',
  RequestLimitExceeded: 'throttled',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  InternalError: 'transient',
  RequestTimeout: 'transient',
  RequestTimeTooSkewed: 'transient',
  IncompleteBody: 'transient',
  BadDigest: 'transient',
  XAmzContentSHA256Mismatch: 'transient',
  XAmzContentChecksumMismatch: 'transient',
  OperationAborted: 'transient',
  ConditionalRequestConflict: 'transient',
  InvalidObjectState: 'rejected',
  ExpiredToken: 'denied',
  InvalidToken: 'denied',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  CredentialsProviderError: 'denied',
  PermanentRedirect: 'region',
  TemporaryRedirect: 'region',
  AuthorizationHeaderMalformed: 'region',
  IllegalLocationConstraintException: 'region',
}

const STATUSES: Readonly<Record<number, FailureKind>> = {
  301: 'region',
  307: 'region',
  401: 'denied',
  403: 'denied',
  404: 'no-object',
  408: 'transient',
  409: 'transient',
  412: 'precondition',
  416: 'range',
  429: 'throttled',
  501: 'rejected',
  503: 'throttled',
  507: 'full',
}

/** No answer, or no more bytes of it, within the time that a request has. */
export class RequestTimedOut extends Error {
  override readonly name = 'RequestTimedOut'
}

export function kindOfFailure(error: unknown): FailureKind {
  if (error instanceof RequestTimedOut) return 'unreachable'
  const { name, status } = answerOf(error)
  const named = name === undefined ? undefined : NAMES[name]
  if (named !== undefined) return named
  if (status !== undefined && status >= 300) return STATUSES[status] ?? (status >= 500 ? 'transient' : 'rejected')
  const code = networkCodeOf(error)
  if (code !== undefined && NETWORK.has(code)) return 'unreachable'
  if (code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO|^ERR_TLS|^ERR_SSL|^EPROTO$/.test(code)) return 'tls'
  if (/socket hang up|TimeoutError|before secure TLS/i.test(`${name} ${messageOf(error)}`)) return 'unreachable'
  // An answer that is cut short or is no XML comes from what stands between us and the service.
  return 'transient'
}

/** Whether the same request may go well a moment later. */
export function mayPass(kind: FailureKind): boolean {
  return kind === 'unreachable' || kind === 'throttled' || kind === 'transient'
}

export interface S3Failure extends StorageFailure {
  /** As in `s3:GetObject`; for the hint. */
  readonly permission: string
  readonly bucket: string
}

/** The error for a request that is given up. */
export function s3Error(error: unknown, failure: S3Failure): RetakeError {
  if (isRetakeError(error)) return error
  const kind = kindOfFailure(error)
  const { name, status } = answerOf(error)
  const reason = name ?? networkCodeOf(error) ?? messageOf(error)
  const what = `${failure.action} ${failure.object} in ${failure.url} failed`
  const options = { details: { object: failure.object, url: failure.url, reason, status }, cause: error }
  const safe = 'What was committed before is safe.'
  switch (kind) {
    case 'unreachable':
      return new RetakeError('storage.unreachable', `${what}: the storage does not answer (${reason}). ${safe}`, {
        ...options,
        hint: 'Check the endpoint in the address, the network and the firewall, then run the command again.',
      })
    case 'throttled':
      return new RetakeError('storage.failed', `${what}: the storage asks to slow down (${reason}). ${safe}`, {
        ...options,
        hint: 'Run the command again later, with fewer workers, or raise the limits of the storage.',
      })
    case 'no-bucket':
      return new RetakeError('repo.missing', `There is no bucket "${failure.bucket}" where ${failure.url} leads.`, {
        ...options,
        hint: `Check name, region and endpoint, or make the bucket: aws s3api create-bucket --bucket ${failure.bucket}`,
      })
    case 'denied':
      return new RetakeError('storage.denied', deniedSentence(what, { name, error }), {
        ...options,
        hint: deniedHint(name, failure),
      })
    case 'full':
      return new RetakeError('storage.full', `${what}: no space is left (${reason}). ${safe}`, {
        ...options,
        hint: 'Raise the quota of the bucket or its owner, then run the command again.',
      })
    case 'tls':
      return new RetakeError('storage.unreachable', `${what}: the certificate is not accepted (${reason}).`, {
        ...options,
        retry: 'never',
        hint: 'Name the certificate authority in the address: ca-file=/path/ca.pem. Or correct the host name in endpoint.',
      })
    case 'region':
      return new RetakeError('config.invalid', `The bucket "${failure.bucket}" is in another region (${reason}).`, {
        ...options,
        hint: regionHint(error),
      })
    case 'transient':
      return new RetakeError('storage.failed', `${what} (${reason}). ${safe}`, {
        ...options,
        hint:
          name === 'RequestTimeTooSkewed'
            ? 'Set the clock of this machine: it differs from that of the storage by more than a quarter of an hour.'
            : 'Run the command again; if it goes on, look at the state of the storage.',
      })
    default:
      return new RetakeError('storage.failed', `${what}: the storage does not accept it (${reason}). ${safe}`, {
        ...options,
        retry: 'never',
        hint: `Check the options in the address; the storage says: ${messageOf(error)}`,
      })
  }
}

/** Whether the service says that it has no such feature at all. */
export function saysNotImplemented(error: unknown): boolean {
  const { name, status } = answerOf(error)
  return name === 'NotImplemented' || status === 501
}

/** Of a question about locks: whether neither the service nor this bucket has Object Lock, so that nothing can be locked. */
export function saysNoObjectLock(error: unknown): boolean {
  return answerOf(error).name === 'InvalidRequest' || saysNotImplemented(error)
}

function deniedSentence(what: string, told: { readonly name: string | undefined; readonly error: unknown }): string {
  if (told.name === 'CredentialsProviderError') return `${what}: no credentials were found.`
  return `${what}: the storage refuses the credentials (${told.name ?? 'access denied'}).`
}

function deniedHint(name: string | undefined, failure: S3Failure): string {
  switch (name) {
    case 'CredentialsProviderError':
      return 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives credentials.'
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
      return 'Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names.'
    case 'ExpiredToken':
    case 'InvalidToken':
      return 'Get new credentials (for example: aws sso login), then run the command again.'
    default:
      return `Allow ${failure.permission} on the bucket "${failure.bucket}" to these credentials.`
  }
}

function regionHint(error: unknown): string {
  const region = (error as { Region?: unknown } | undefined)?.Region
  return typeof region === 'string' ? `Write region=${region} into the address.` : 'Correct region= in the address.'
}

/** The service's own name for its error, and the HTTP status. */
function answerOf(error: unknown): { readonly name: string | undefined; readonly status: number | undefined } {
  if (typeof error !== 'object' || error === null) return { name: undefined, status: undefined }
  const { name, Code, $metadata } = error as {
    name?: unknown
    Code?: unknown
    $metadata?: { httpStatusCode?: number }
  }
  const given = typeof Code === 'string' ? Code : typeof name === 'string' ? name : undefined
  // Names of JavaScript's own say nothing.
  const said =
    given === undefined || /^(Error|TypeError|SyntaxError|UnknownError|NotFound)$/.test(given) ? undefined : given
  return { name: said, status: $metadata?.httpStatusCode }
}

function networkCodeOf(error: unknown): string | undefined {
  const code = systemErrorCode(error)
  if (code !== undefined || !(error instanceof Error)) return code
  if (error instanceof AggregateError) return networkCodeOf(error.errors[0])
  return error.cause === undefined ? undefined : networkCodeOf(error.cause)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
