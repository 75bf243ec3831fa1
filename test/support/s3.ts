/**
 * The S3 server of a test file: the one that the test command has started for the whole run, else one of its own. Where there is
 * none, `s3Missing` says why, for the `skip` of every test that needs it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { randomId } from '../../src/base/ids.ts'
import { type CephRgw, missingCephPrograms, startCephRgw } from './ceph-rgw.ts'
import { SERVER_VARIABLE } from './s3-variable.ts'

export const s3Missing: string | false = (() => {
  const given = process.env[SERVER_VARIABLE]
  if (given?.startsWith('none:')) return given.slice('none:'.length).trim()
  if (given !== undefined) return false
  const missing = missingCephPrograms()
  return missing.length > 0 ? `no S3 server: ${missing.join(', ')} not installed` : false
})()

type Server = Omit<CephRgw, typeof Symbol.asyncDispose>

let own: Promise<CephRgw> | undefined
let directory: string | undefined

/** Also gives the credentials to this process and to what it starts, and keeps others away from them. */
export async function s3Server(): Promise<Server> {
  const server = await findServer()
  const environment = {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  }
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  Object.assign(process.env, environment)
  return server
}

async function findServer(): Promise<Server> {
  const given = process.env[SERVER_VARIABLE]
  if (given === undefined) {
    own ??= startOwn()
    return await own
  }
  const [endpoint = '', accessKeyId = '', secretAccessKey = ''] = given.split(' ')
  return { endpoint, accessKeyId, secretAccessKey }
}

async function startOwn(): Promise<CephRgw> {
  directory = await mkdtemp(join(tmpdir(), 'rgw-'))
  return await startCephRgw(directory)
}

after(async () => {
  if (own === undefined) return
  await (await own)[Symbol.asyncDispose]()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
})

export interface TestBucket {
  readonly bucket: string
  readonly server: Server
  /** Without prefix and options beyond the endpoint. */
  readonly url: string
}

export interface BucketOptions {
  /** Makes a bucket that keeps versions and can lock them. */
  readonly lockable?: boolean | undefined
  /** Instead of the server itself, what stands before it. */
  readonly endpoint?: string | undefined
}

/** A new empty bucket; it goes with the server, which keeps nothing. */
export async function makeBucket(options: BucketOptions = {}): Promise<TestBucket> {
  const server = await s3Server()
  const bucket = `retake-${randomId(8)}`
  await withClient(server, (client) =>
    client.createBucket({ Bucket: bucket, ...(options.lockable ? { ObjectLockEnabledForBucket: true } : {}) }),
  )
  return { bucket, server, url: `s3://${bucket}?endpoint=${options.endpoint ?? server.endpoint}` }
}

/** The plain SDK, to look at what Retake has done. */
export async function withClient<T>(server: Server, action: (client: S3) => Promise<T>): Promise<T> {
  const client = new S3({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  try {
    return await action(client)
  } finally {
    client.destroy()
  }
}
