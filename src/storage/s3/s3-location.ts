/**
 * Where in which S3-compatible storage a repository lives, as its URL says it. The URL is all that a worker thread, another
 * process or another machine needs besides credentials, and it never holds those.
 */
import { RetakeError } from '../../base/errors.ts'
import { isObjectKey } from '../keys.ts'

export interface ObjectLock {
  /** `compliance`: nobody shortens it. `governance`: who has the permission to bypass it can. */
  readonly mode: 'compliance' | 'governance'
  readonly days: number
}

export interface S3Location {
  readonly bucket: string
  /** Begins every key; empty, or without a slash at either end. */
  readonly prefix: string
  /** Undefined: Amazon's own for the region. */
  readonly endpoint: string | undefined
  /** Undefined: as the environment says (AWS_REGION, the shared configuration). */
  readonly region: string | undefined
  /** The bucket's name in the path instead of in the host name. Default: with an endpoint of one's own. */
  readonly pathStyle: boolean
  /** PEM file with the certificate authority of the endpoint. */
  readonly caFile: string | undefined
  /** Encryption by the storage, besides Retake's own. */
  readonly sse: 'AES256' | 'aws:kms' | undefined
  readonly sseKeyId: string | undefined
  readonly storageClass: string | undefined
  readonly objectLock: ObjectLock | undefined
  /** The storage overwrites, so names are claimed before they are written (`claimed-put.ts`). */
  readonly claims: boolean
}

const OPTIONS = [
  'endpoint',
  'region',
  'path-style',
  'ca-file',
  'sse',
  'sse-key-id',
  'storage-class',
  'object-lock',
  'lock-days',
  'create',
] as const
type OptionName = (typeof OPTIONS)[number]

const EXAMPLE = 's3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1'
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/
const SECRET = /secret|password|token|access-?key|credential/i
const MAX_LOCK_DAYS = 36_500

/**
 * Reads `s3://bucket/prefix?option=value&…`.
 * @throws RetakeError `config.invalid` naming the part that cannot be used; a credential is refused without being repeated
 */
export function parseS3Url(url: string): S3Location {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^s3:\/\//i.test(url)) throw invalid('The address of the bucket cannot be understood.')
  if (parsed.username !== '' || parsed.password !== '') throw holdsSecret()
  if (parsed.hash !== '' || parsed.port !== '') throw invalid('The address of the bucket has a part too many (# or :).')
  // The host name of a URL with an unknown scheme keeps its case.
  const bucket = decodeURIComponent(parsed.hostname)
  if (!BUCKET.test(bucket)) throw invalid(`"${bucket}" is not the name of a bucket.`)
  const prefix = decodeURIComponent(parsed.pathname).replace(/^\/+|\/+$/g, '')
  if (prefix !== '' && !isObjectKey(prefix)) {
    throw invalid(`"${prefix}" cannot be a prefix: its parts have letters, digits, ".", "_" and "-" only.`)
  }
  const options = readOptions(parsed.searchParams)
  const endpoint = endpointOf(options.get('endpoint'))
  const sse = oneOf(options, 'sse', ['AES256', 'aws:kms'] as const)
  const sseKeyId = options.get('sse-key-id')
  if (sseKeyId !== undefined && sse !== 'aws:kms') throw invalid('sse-key-id needs sse=aws:kms.')
  const pathStyle = oneOf(options, 'path-style', ['true', 'false'] as const)
  return {
    bucket,
    prefix,
    endpoint,
    region: options.get('region'),
    pathStyle: pathStyle === undefined ? endpoint !== undefined : pathStyle === 'true',
    caFile: options.get('ca-file'),
    sse,
    sseKeyId,
    storageClass: options.get('storage-class'),
    objectLock: objectLockOf(options),
    claims: oneOf(options, 'create', ['if-none-match', 'claim'] as const) === 'claim',
  }
}

/** The one way to write a location; reading it again gives the same. */
export function formatS3Url(location: S3Location): string {
  const { bucket, prefix, endpoint, objectLock } = location
  const values: Record<OptionName, string | undefined> = {
    endpoint,
    region: location.region,
    'path-style': location.pathStyle === (endpoint !== undefined) ? undefined : String(location.pathStyle),
    'ca-file': location.caFile,
    sse: location.sse,
    'sse-key-id': location.sseKeyId,
    'storage-class': location.storageClass,
    'object-lock': objectLock?.mode,
    'lock-days': objectLock && String(objectLock.days),
    create: location.claims ? 'claim' : undefined,
  }
  const query = OPTIONS.flatMap((name) => {
    const value = values[name]
    // Slashes and colons may stand in a query as they are; the address stays readable.
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value).replace(/%2F/g, '/').replace(/%3A/g, ':')}`]
  }).join('&')
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${query === '' ? '' : `?${query}`}`
}

function readOptions(parameters: URLSearchParams): Map<OptionName, string> {
  const options = new Map<OptionName, string>()
  for (const [name, value] of parameters) {
    const known = OPTIONS.find((option) => option === name)
    if (known === undefined && SECRET.test(name)) throw holdsSecret()
    if (known === undefined) {
      throw invalid(`The address of the bucket has the option "${name}"; there are ${OPTIONS.join(', ')}.`)
    }
    if (options.has(known)) throw invalid(`The address of the bucket has ${name} twice.`)
    if (value === '') throw invalid(`The option ${name} in the address of the bucket is empty.`)
    options.set(known, value)
  }
  return options
}

function endpointOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const endpoint = URL.canParse(text) ? new URL(text) : undefined
  if (endpoint === undefined || !['http:', 'https:'].includes(endpoint.protocol)) {
    throw invalid('The endpoint in the address of the bucket must begin with http:// or https://.')
  }
  if (endpoint.username !== '' || endpoint.password !== '') throw holdsSecret()
  if (endpoint.search !== '' || endpoint.hash !== '') throw invalid('The endpoint has a part too many (? or #).')
  return endpoint.href.replace(/\/$/, '')
}

function objectLockOf(options: ReadonlyMap<OptionName, string>): ObjectLock | undefined {
  const mode = oneOf(options, 'object-lock', ['compliance', 'governance'] as const)
  const text = options.get('lock-days')
  if (mode === undefined && text === undefined) return undefined
  if (mode === undefined || text === undefined) throw invalid('object-lock and lock-days belong together.')
  const days = Number(text)
  if (!Number.isInteger(days) || days < 1 || days > MAX_LOCK_DAYS) {
    throw invalid(`lock-days must be a whole number of days from 1 to ${MAX_LOCK_DAYS}.`)
  }
  return { mode, days }
}

function oneOf<const T extends string>(
  options: ReadonlyMap<OptionName, string>,
  name: OptionName,
  allowed: readonly T[],
): T | undefined {
  const text = options.get(name)
  if (text === undefined) return undefined
  const value = allowed.find((candidate) => candidate === text)
  if (value === undefined) throw invalid(`${name} in the address of the bucket must be ${allowed.join(' or ')}.`)
  return value
}

function invalid(sentence: string): RetakeError {
  return new RetakeError('config.invalid', sentence, { hint: `Write it like this: ${EXAMPLE}` })
}

/** What is repeated in a message ends up in logs, so the address is not. */
function holdsSecret(): RetakeError {
  return new RetakeError('config.invalid', 'The address of the bucket holds a credential; addresses end up in logs.', {
    hint: 'Take it out, treat it as known to others, and give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role.',
  })
}
