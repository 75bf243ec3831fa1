import { readFile } from 'node:fs/promises'
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { S3Location } from './s3-location.ts'

/** Connections at once; each uploads one part, or fetches one range. */
const MAX_SOCKETS = 32
const CONNECT_MS = 5_000
/** Endpoints of one's own do not look at it, but a signature has one. */
const ANY_REGION = 'us-east-1'

/**
 * Makes the SDK's client; loads the SDK only now, because most commands need none. Credentials come by the SDK's standard chain:
 * environment, shared files and AWS_PROFILE, SSO, web identity, container and instance roles.
 * @throws RetakeError `config.invalid` when the certificate authority's file cannot be read
 */
export async function openS3Client(location: S3Location): Promise<S3> {
  const { S3 } = await import('@aws-sdk/client-s3')
  const region = location.region ?? (location.endpoint === undefined ? undefined : ANY_REGION)
  const config: S3ClientConfig = {
    forcePathStyle: location.pathStyle,
    maxAttempts: 1,
    // A body is signed with its SHA-256, which the storage checks; checksums in trailers are understood by few besides Amazon.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    // It would write to the terminal of whoever runs the command.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS, ...(await trust(location.caFile)) },
    },
    ...(region === undefined ? {} : { region }),
    ...(location.endpoint === undefined ? {} : { endpoint: location.endpoint }),
  }
  return new S3(config)
}

async function trust(caFile: string | undefined): Promise<{ ca?: Buffer }> {
  if (caFile === undefined) return {}
  try {
    return { ca: await readFile(caFile) }
  } catch (error) {
    throw new RetakeError(
      'config.invalid',
      `The certificate authority's file ${caFile} cannot be read (${systemErrorCode(error) ?? 'unknown error'}).`,
      { hint: 'Correct ca-file= in the address of the bucket.', cause: error },
    )
  }
}
