/**
 * A key service that speaks the protocol of AWS KMS (JSON 1.1 over HTTP, Signature Version 4) for tests: Encrypt and Decrypt with
 * real AES-256-GCM, bound to key and encryption context. It refuses what KMS refuses, and fails where a test says so.
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface KmsServer extends AsyncDisposable {
  readonly url: string
  /** What a process needs to use it. */
  readonly env: Readonly<Record<string, string>>
  /** Makes a key; returns its ARN. */
  createKey(): string
  setEnabled(arn: string, enabled: boolean): void
  /** Whether these credentials may use the key. Default true. */
  setAllowed(arn: string, allowed: boolean): void
  /** The next so many calls answer with this error. */
  failNext(error: KmsFault, times?: number): void
  /** Every call that was answered well, in order, with its encryption context: what CloudTrail would show. */
  readonly trail: readonly { readonly action: string; readonly context: Readonly<Record<string, string>> }[]
  /** How many requests came, refused ones included. */
  readonly requests: number
}

export type KmsFault = 'ThrottlingException' | 'KMSInternalException' | 'hang-up'

const REGION = 'eu-test-1'
const ACCOUNT = '111122223333'
const ACCESS_KEY = 'AKIDRETAKETEST'
const SECRET_KEY = 'test/secret/of/no/account'

interface Key {
  readonly material: Buffer
  enabled: boolean
  allowed: boolean
}

export async function startKmsServer(): Promise<KmsServer> {
  const keys = new Map<string, Key>()
  const faults: KmsFault[] = []
  const trail: { action: string; context: Record<string, string> }[] = []
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    void answer(request, response, { keys, faults, trail })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const find = (arn: string) => {
    const key = keys.get(arn)
    if (key === undefined) throw new Error(`there is no key ${arn}`)
    return key
  }
  return {
    url,
    env: {
      AWS_ENDPOINT_URL_KMS: url,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    createKey() {
      const arn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${randomBytes(16).toString('hex')}`
      keys.set(arn, { material: randomBytes(32), enabled: true, allowed: true })
      return arn
    },
    setEnabled(arn, enabled) {
      find(arn).enabled = enabled
    },
    setAllowed(arn, allowed) {
      find(arn).allowed = allowed
    },
    failNext(error, times = 1) {
      faults.push(...Array<KmsFault>(times).fill(error))
    },
    trail,
    get requests() {
      return requests
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface State {
  readonly keys: ReadonlyMap<string, Key>
  readonly faults: KmsFault[]
  readonly trail: { action: string; context: Record<string, string> }[]
}

interface Call {
  readonly KeyId?: string
  readonly Plaintext?: string
  readonly CiphertextBlob?: string
  readonly EncryptionContext?: Record<string, string>
}

class Refusal extends Error {
  readonly type: string
  readonly status: number

  constructor(type: string, status = 400) {
    super(`the test's KMS answers ${type}`)
    this.type = type
    this.status = status
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, state: State): Promise<void> {
  const body = await buffer(request)
  const fault = state.faults.shift()
  if (fault === 'hang-up') return void request.socket.destroy()
  try {
    if (fault) throw new Refusal(fault, fault === 'KMSInternalException' ? 500 : 400)
    assertSigned(request, body)
    const action = /^TrentService\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1] ?? ''
    const call = JSON.parse(body.toString('utf8')) as Call
    const result = action === 'Encrypt' ? encrypt(state, call) : action === 'Decrypt' ? decrypt(state, call) : undefined
    if (result === undefined) throw new Refusal('UnknownOperationException')
    state.trail.push({ action, context: call.EncryptionContext ?? {} })
    send(response, { status: 200, body: result })
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal('ValidationException')
    send(response, { status: refusal.status, body: { __type: refusal.type, message: refusal.message } })
  }
}

function send(response: ServerResponse, answer: { readonly status: number; readonly body: object }): void {
  response.writeHead(answer.status, {
    'content-type': 'application/x-amz-json-1.1',
    'x-amzn-requestid': randomBytes(16).toString('hex'),
  })
  response.end(JSON.stringify(answer.body))
}

/** Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function assertSigned(request: IncomingMessage, body: Uint8Array): void {
  const header = String(request.headers.authorization)
  const [, scope = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=AKIDRETAKETEST\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(header) ??
    []
  const [date = '', region = '', service = '', end = ''] = scope.split('/')
  if (signature === '') throw new Refusal('UnrecognizedClientException')
  if (region !== REGION || service !== 'kms' || end !== 'aws4_request') throw new Refusal('InvalidSignatureException')
  if (!['host', 'x-amz-date', 'x-amz-target'].every((name) => names.split(';').includes(name)))
    throw new Refusal('IncompleteSignature')
  const canonicalHeaders = names
    .split(';')
    .map((name) => `${name}:${String(request.headers[name]).trim()}\n`)
    .join('')
  const canonical = [request.method, request.url, '', canonicalHeaders, names, sha256(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(Buffer.from(canonical))].join('\n')
  const key = [date, region, service, end].reduce<Uint8Array>(
    (previous, part) => hmac(previous, part),
    Buffer.from(`AWS4${SECRET_KEY}`),
  )
  if (!timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'))) throw new Refusal('InvalidSignatureException')
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function usable({ keys }: State, arn: string | undefined): { readonly arn: string; readonly key: Key } {
  const key = arn === undefined ? undefined : keys.get(arn)
  if (arn === undefined || key === undefined) throw new Refusal('NotFoundException')
  if (!key.allowed) throw new Refusal('AccessDeniedException')
  if (!key.enabled) throw new Refusal('DisabledException')
  return { arn, key }
}

/** What GCM authenticates: the key, and the context whatever the order of its entries. */
function additionalData(arn: string, context: Record<string, string> | undefined): Buffer {
  return Buffer.from(JSON.stringify([arn, Object.entries(context ?? {}).sort()]))
}

/** The blob names its key, as KMS's do: length of the ARN, ARN, nonce, ciphertext, tag. */
function encrypt(state: State, call: Call): object {
  const { arn, key } = usable(state, call.KeyId)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.material, nonce)
  cipher.setAAD(additionalData(arn, call.EncryptionContext))
  const sealed = Buffer.concat([
    cipher.update(Buffer.from(call.Plaintext ?? '', 'base64')),
    cipher.final(),
    cipher.getAuthTag(),
  ])
  const blob = Buffer.concat([Buffer.from([arn.length]), Buffer.from(arn), nonce, sealed])
  return { CiphertextBlob: blob.toString('base64'), KeyId: arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
}

function decrypt(state: State, call: Call): object {
  const blob = Buffer.from(call.CiphertextBlob ?? '', 'base64')
  const arn = blob.subarray(1, 1 + (blob[0] ?? 0)).toString()
  if (!state.keys.has(arn)) throw new Refusal('InvalidCiphertextException')
  if (call.KeyId !== undefined && call.KeyId !== arn) {
    usable(state, call.KeyId)
    throw new Refusal('IncorrectKeyException')
  }
  const { key } = usable(state, arn)
  const rest = blob.subarray(1 + arn.length)
  const decipher = createDecipheriv('aes-256-gcm', key.material, rest.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(additionalData(arn, call.EncryptionContext))
  decipher.setAuthTag(rest.subarray(-16))
  try {
    const plain = Buffer.concat([decipher.update(rest.subarray(12, -16)), decipher.final()])
    return { Plaintext: plain.toString('base64'), KeyId: arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
  } catch {
    throw new Refusal('InvalidCiphertextException')
  }
}
