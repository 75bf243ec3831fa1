import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { formatS3Url, parseS3Url } from './s3-location.ts'

test('an address says where, and what is left out has its default', () => {
  assert.deepEqual(parseS3Url('s3://backups'), {
    bucket: 'backups',
    prefix: '',
    endpoint: undefined,
    region: undefined,
    pathStyle: false,
    caFile: undefined,
    sse: undefined,
    sseKeyId: undefined,
    storageClass: undefined,
    objectLock: undefined,
    claims: false,
  })
  assert.deepEqual(
    parseS3Url(
      's3://backups/team/prod/?endpoint=https://s3.example.org:9000/&region=eu-central-1&path-style=false&ca-file=/etc/ca.pem&sse=aws:kms&sse-key-id=alias/x&storage-class=STANDARD_IA&object-lock=compliance&lock-days=30',
    ),
    {
      bucket: 'backups',
      prefix: 'team/prod',
      endpoint: 'https://s3.example.org:9000',
      region: 'eu-central-1',
      pathStyle: false,
      caFile: '/etc/ca.pem',
      sse: 'aws:kms',
      sseKeyId: 'alias/x',
      storageClass: 'STANDARD_IA',
      objectLock: { mode: 'compliance', days: 30 },
      claims: false,
    },
  )
  assert.equal(parseS3Url('s3://b-1/x?endpoint=http://127.0.0.1:7480').pathStyle, true)
})

test('an address that is written and read again is the same', () => {
  for (const url of [
    's3://backups',
    's3://backups/team/prod?endpoint=https://s3.example.org:9000&region=eu-central-1&path-style=false&ca-file=/etc/my%20ca.pem&sse=aws:kms&sse-key-id=arn:aws:kms:eu-central-1:1:key/2&object-lock=governance&lock-days=7',
    's3://backups?path-style=true&sse=AES256',
    's3://backups?create=claim',
  ]) {
    assert.equal(formatS3Url(parseS3Url(url)), url)
  }
})

test('what cannot be used is refused, and a credential is not repeated', () => {
  for (const url of [
    's3:bucket',
    's3://',
    's3://b',
    's3://bucket/a b',
    's3://bucket/../x y',
    's3://bucket:80/x',
    's3://bucket/x#y',
    's3://bucket?colour=blue',
    's3://bucket?region=',
    's3://bucket?region=a&region=b',
    's3://bucket?endpoint=ftp://x',
    's3://bucket?path-style=yes',
    's3://bucket?sse=rot13',
    's3://bucket?sse-key-id=1',
    's3://bucket?create=maybe',
    's3://bucket?object-lock=compliance',
    's3://bucket?lock-days=3',
    's3://bucket?object-lock=compliance&lock-days=0.5',
  ]) {
    assert.throws(
      () => parseS3Url(url),
      (error) => isRetakeError(error, 'config.invalid'),
      url,
    )
  }
  for (const url of [
    's3://AKIA:hunter2@bucket/x',
    's3://bucket?secret-key=hunter2',
    's3://bucket?aws_session_token=hunter2',
    's3://bucket?endpoint=https://AKIA:hunter2@x',
  ]) {
    assert.throws(
      () => parseS3Url(url),
      (error) => isRetakeError(error, 'config.invalid') && !`${error.message} ${error.hint}`.includes('hunter2'),
      url,
    )
  }
})
