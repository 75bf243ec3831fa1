/**
 * AWS KMS as a key service: the key stays in KMS, and who may use it is decided (and logged) there. The SDK is loaded only when
 * a repository is opened this way. https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
 */
import type { KMSClient, KMSClientConfig } from '@aws-sdk/client-kms'
import { abortedError, RetakeError, toRetakeError } from '../../base/errors.ts'
import type { KeyService, KeyServiceContext } from '../../repository/keys/key-material.ts'

/** Long enough for a far region; short enough that a wrong address is noticed. */
const CONNECT_LIMIT_MS = 5_000
const REQUEST_LIMIT_MS = 15_000

export interface AwsKmsOptions {
  readonly signal?: AbortSignal | undefined
  /** Tries of one call, the first included. Default 3. */
  readonly maxAttempts?: number | undefined
}

/**
 * @param keyId an ARN (whose region is then used), a key id, or `alias/NAME`. Credentials, region and endpoint come from the
 * standard chain of the SDK: `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL_KMS`, the role of the machine, …
 */
export function openAwsKms(keyId: string, options: AwsKmsOptions = {}): KeyService {
  const call = async <T>(action: string, send: (client: KMSClient) => Promise<T>): Promise<T> => {
    const { KMSClient } = await import('@aws-sdk/client-kms')
    const client = new KMSClient(clientConfig(keyId, options))
    try {
      return await send(client)
    } catch (error) {
      if (options.signal?.aborted) throw abortedError(options.signal.reason)
      throw unavailable(error, { action, keyId })
    } finally {
      client.destroy()
    }
  }
  const sending = options.signal ? { abortSignal: options.signal } : {}
  return {
    keyId,
    async wrap(plain, context) {
      const { EncryptCommand } = await import('@aws-sdk/client-kms')
      const command = new EncryptCommand({ KeyId: keyId, Plaintext: plain, EncryptionContext: contextOf(context) })
      const answer = await call('encrypt', (client) => client.send(command, sending))
      if (!answer.CiphertextBlob || !answer.KeyId) throw emptyAnswer(keyId)
      return { wrapped: new Uint8Array(answer.CiphertextBlob), keyId: answer.KeyId }
    },
    async unwrap(wrapped, context) {
      const { DecryptCommand } = await import('@aws-sdk/client-kms')
      const command = new DecryptCommand({
        KeyId: keyId,
        CiphertextBlob: wrapped,
        EncryptionContext: contextOf(context),
      })
      try {
        const answer = await call('decrypt', (client) => client.send(command, sending))
        if (!answer.Plaintext) throw emptyAnswer(keyId)
        return new Uint8Array(answer.Plaintext)
      } catch (error) {
        if (NOT_OURS.has(nameOf(error instanceof RetakeError ? error.cause : error))) return undefined
        throw error
      }
    },
  }
}

/** Another key wrapped it, or in another context: that is an answer, not a failure. */
const NOT_OURS = new Set(['InvalidCiphertextException', 'IncorrectKeyException'])

/** What KMS authenticates with the ciphertext and writes into CloudTrail; a policy may ask for it. */
function contextOf(context: KeyServiceContext): Record<string, string> {
  return { 'retake:repository': context.repositoryId, 'retake:holder': context.holder }
}

function clientConfig(keyId: string, options: AwsKmsOptions): KMSClientConfig {
  const region = /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1]
  return {
    ...(region === undefined ? {} : { region }),
    maxAttempts: options.maxAttempts ?? 3,
    requestHandler: { connectionTimeout: CONNECT_LIMIT_MS, requestTimeout: REQUEST_LIMIT_MS },
  }
}

const EXPLANATIONS: Readonly<Record<string, { readonly why: string; readonly hint: string; readonly final?: true }>> = {
  AccessDeniedException: {
    why: 'AWS does not allow it',
    hint: 'Allow kms:Encrypt and kms:Decrypt on this key for the identity that runs Retake (policy of the key, or of the role).',
    final: true,
  },
  DisabledException: {
    why: 'the key is disabled',
    hint: 'Enable the key in KMS, or open the repository with another key.',
  },
  KMSInvalidStateException: {
    why: 'the key is not in a state to be used (it may be waiting for its deletion)',
    hint: 'Cancel the deletion in KMS now, or open the repository with another key.',
  },
  NotFoundException: {
    why: 'there is no such key in this account and region',
    hint: 'Give the whole ARN of the key: RETAKE_KMS_KEY=arn:aws:kms:REGION:ACCOUNT:key/ID',
    final: true,
  },
  ThrottlingException: { why: 'AWS is limiting the rate of requests', hint: 'Try again in a moment.' },
  CredentialsProviderError: {
    why: 'no AWS credentials were found',
    hint: 'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.',
    final: true,
  },
  UnrecognizedClientException: {
    why: 'the AWS credentials are not valid',
    hint: 'Check the AWS credentials and their region.',
    final: true,
  },
  InvalidSignatureException: {
    why: 'the AWS credentials are not valid',
    hint: 'Check the secret access key and the clock of this machine.',
    final: true,
  },
  ExpiredTokenException: { why: 'the AWS credentials have expired', hint: 'Sign in again: aws sso login', final: true },
}

function unavailable(error: unknown, facts: { readonly action: string; readonly keyId: string }): RetakeError {
  const name = nameOf(error)
  const known = EXPLANATIONS[name]
  const why = known?.why ?? `it could not be reached or did not answer (${name || toRetakeError(error).message})`
  return new RetakeError('key.unavailable', `The key service did not ${facts.action} with ${facts.keyId}: ${why}.`, {
    hint: known?.hint ?? 'Check network, region and AWS_ENDPOINT_URL_KMS, or open the repository with another key.',
    retry: known?.final ? 'never' : 'later',
    details: { keyId: facts.keyId, reason: name },
    cause: error,
  })
}

function emptyAnswer(keyId: string): RetakeError {
  return new RetakeError('key.unavailable', `The key service gave an empty answer for ${keyId}.`, {
    hint: 'Check AWS_ENDPOINT_URL_KMS: it may lead to something that is not KMS.',
  })
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
