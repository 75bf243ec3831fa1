/** What the options in the address do to the requests. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { isRetakeError } from '../../base/errors.ts'
import { openStore } from '../open.ts'
import { temporaryDirectory } from '../testing/temporary-directory.ts'
import { openS3Store } from './open-s3.ts'

const quick = { answerMs: 2000, firstPatienceMs: 500, pauseMs: 5 }
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const withoutOpenssl = hasOpenssl ? false : 'the openssl program, which makes the certificate, is not installed'

describe('an address with options', { skip: s3Missing }, () => {
  test('encryption, key and storage class are asked for with every object, a digest only with a lock', async () => {
    await using front = await startS3Front((await s3Server()).endpoint)
    const { url } = await makeBucket({ endpoint: front.endpoint })
    const options = 'sse=aws:kms&sse-key-id=alias/backups&storage-class=STANDARD_IA'
    await using store = await openS3Store(`${url}&${options}&object-lock=compliance&lock-days=2`, { limits: quick })
    // The server used here takes no encryption over plain HTTP; what matters is what it was asked.
    const refused = { kind: 'status', status: 400, code: 'InvalidRequest' } as const
    front.plan({ matching: ({ method }) => method === 'PUT', times: 2, how: refused })
    await assert.rejects(store.create('packs/ab/x', Buffer.from('x')))
    await assert.rejects(store.replace('clusters/main/wal/position', Buffer.from('x')))
    const [create, replace] = front.requests.filter(({ method }) => method === 'PUT').map(({ headers }) => headers)
    for (const headers of [create, replace]) {
      assert.equal(headers?.['x-amz-server-side-encryption'], 'aws:kms')
      assert.equal(headers?.['x-amz-server-side-encryption-aws-kms-key-id'], 'alias/backups')
      assert.equal(headers?.['x-amz-storage-class'], 'STANDARD_IA')
      assert.match(String(headers?.['x-amz-content-sha256']), /^[0-9a-f]{64}$/, 'the body is in the signature')
    }
    assert.equal(create?.['if-none-match'], '*')
    assert.equal(create?.['x-amz-object-lock-mode'], 'COMPLIANCE')
    assert.ok(create?.['content-md5'] !== undefined)
    assert.equal(replace?.['x-amz-object-lock-mode'], undefined)
  })

  test('an endpoint with a certificate of its own is trusted when ca-file says so', {
    skip: withoutOpenssl,
  }, async () => {
    await using directory = await temporaryDirectory()
    const [key, cert] = [join(directory.path, 'key.pem'), join(directory.path, 'ca.pem')]
    const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1']
    const making = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert]
    execFileSync('openssl', [...making, ...subject], { stdio: 'pipe' })
    const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    await using front = await startS3Front((await s3Server()).endpoint, { tls })
    const { url } = await makeBucket({ endpoint: front.endpoint })
    await assert.rejects(
      openS3Store(url, { limits: quick }),
      (error) => isRetakeError(error, 'storage.unreachable') && error.hint?.includes('ca-file=') === true,
    )
    await using store = await openS3Store(`${url}&ca-file=${cert}`, { limits: quick })
    assert.equal(await store.create('a', Buffer.from('x')), true)
    const put = front.requests.find(({ method }) => method === 'PUT')
    assert.match(
      String(put?.headers['x-amz-content-sha256']),
      /^[0-9a-f]{64}$/,
      'the body is in the signature here too',
    )
    await assert.rejects(openS3Store(`${url}&ca-file=${cert}.none`), (error) => isRetakeError(error, 'config.invalid'))
  })

  test('wrong credentials, none at all, and a bucket that is not there are told apart', async () => {
    const { url, bucket } = await makeBucket()
    const missing = (error: unknown) => isRetakeError(error, 'repo.missing') && /no bucket/i.test(error.message)
    await assert.rejects(openStore(url.replace(bucket, 'no-such-bucket')), missing)
    const secret = process.env.AWS_SECRET_ACCESS_KEY
    try {
      process.env.AWS_SECRET_ACCESS_KEY = 'wrong'
      await assert.rejects(openStore(url), (error) => isRetakeError(error, 'storage.denied'))
      delete process.env.AWS_SECRET_ACCESS_KEY
      await assert.rejects(
        openStore(url),
        (error) => isRetakeError(error, 'storage.denied') && error.hint?.includes('AWS_ACCESS_KEY_ID') === true,
      )
    } finally {
      process.env.AWS_SECRET_ACCESS_KEY = secret
    }
  })
})
