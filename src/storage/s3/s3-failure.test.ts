import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kindOfFailure, mayPass, RequestTimedOut, s3Error } from './s3-failure.ts'
import { DEFAULT_LIMITS, pauseAfter } from './s3-requests.ts'

const answered = (status: number, name?: string) =>
  Object.assign(new Error('said'), { $metadata: { httpStatusCode: status }, ...(name ? { name, Code: name } : {}) })
const network = (code: string) => Object.assign(new Error('low level'), { code })

test('errors are told apart by what they mean', () => {
  const kinds: readonly (readonly [unknown, string])[] = [
    [network('ECONNREFUSED'), 'unreachable'],
    [new AggregateError([network('ECONNREFUSED'), network('ETIMEDOUT')]), 'unreachable'],
    [Object.assign(new Error('wrapped'), { cause: network('ENOTFOUND') }), 'unreachable'],
    [new RequestTimedOut('late'), 'unreachable'],
    [new Error('socket hang up'), 'unreachable'],
    [network('SELF_SIGNED_CERT_IN_CHAIN'), 'tls'],
    [network('ERR_TLS_CERT_ALTNAME_INVALID'), 'tls'],
    [answered(503, 'SlowDown'), 'throttled'],
    [answered(429), 'throttled'],
    [answered(500, 'InternalError'), 'transient'],
    [answered(599), 'transient'],
    [answered(400, 'RequestTimeTooSkewed'), 'transient'],
    [answered(409, 'ConditionalRequestConflict'), 'transient'],
    [new SyntaxError('no XML'), 'transient'],
    [answered(412, 'PreconditionFailed'), 'precondition'],
    [answered(404, 'NotFound'), 'no-object'],
    [answered(404, 'NoSuchUpload'), 'no-upload'],
    [answered(404, 'NoSuchBucket'), 'no-bucket'],
    [answered(416, 'InvalidRange'), 'range'],
    [answered(403, 'AccessDenied'), 'denied'],
    [Object.assign(new Error('none'), { name: 'CredentialsProviderError' }), 'denied'],
    [answered(403, 'QuotaExceeded'), 'full'],
    [answered(400, 'AuthorizationHeaderMalformed'), 'region'],
    [answered(400, 'InvalidArgument'), 'rejected'],
    [answered(501, 'NotImplemented'), 'rejected'],
  ]
  for (const [error, kind] of kinds) assert.equal(kindOfFailure(error), kind, String(error))
})

test('only what may pass is tried again, and the error has a next step', () => {
  const failure = { action: 'Writing', object: 'a', url: 's3://b', bucket: 'b', permission: 's3:PutObject' } as const
  for (const error of [answered(403), answered(400, 'InvalidArgument'), answered(412), network('CERT_HAS_EXPIRED')]) {
    assert.equal(mayPass(kindOfFailure(error)), false, String(error))
    const said = s3Error(error, failure)
    assert.ok(said.hint !== undefined && said.retry === 'never', said.message)
  }
  assert.match(s3Error(answered(403), failure).hint ?? '', /s3:PutObject/)
})

test('pauses double up to a limit, differ by chance, and are longer when throttled', () => {
  const pause = (failures: number, kind: 'transient' | 'throttled', random: number) =>
    pauseAfter(failures, { kind, limits: DEFAULT_LIMITS, random: () => random })
  assert.deepEqual(
    [1, 2, 3].map((failures) => pause(failures, 'transient', 1)),
    [100, 200, 400],
  )
  assert.equal(pause(1, 'transient', 0), 50)
  assert.equal(pause(1, 'throttled', 1), 500)
  assert.equal(pause(1000, 'transient', 1), DEFAULT_LIMITS.longestPauseMs)
})
