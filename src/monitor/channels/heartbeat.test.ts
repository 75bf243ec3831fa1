import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openEndpoint } from '../../../test/support/notices/endpoint.ts'
import { sendHeartbeat } from './heartbeat.ts'

const UUID = '5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278'

describe('the heartbeat', () => {
  test('is a ping, with or without a text, of each kind', async () => {
    await using endpoint = await openEndpoint(() => ({ status: 200, body: 'OK' }))
    const address = `${endpoint.url}/${UUID}`
    await sendHeartbeat(address)
    await sendHeartbeat(`${address}/?rid=1`, { signalKind: 'start' })
    await sendHeartbeat(address, { signalKind: 'fail', text: 'Score 40: no backup for 27 h – ü' })
    assert.deepEqual(
      endpoint.requests.map(({ method, path, query, body }) => [method, path, query.toString(), body]),
      [
        ['GET', `/${UUID}`, '', ''],
        ['GET', `/${UUID}/start`, 'rid=1', ''],
        ['POST', `/${UUID}/fail`, '', 'Score 40: no backup for 27 h – ü'],
      ],
    )
  })

  for (const [said, code] of [
    ['OK (not found)', 'notice.refused'],
    ['OK (rate limited)', 'notice.rate-limited'],
  ] as const) {
    test(`"${said}" with status 200 is no success`, async () => {
      await using endpoint = await openEndpoint(() => ({ status: 200, body: said }))
      await assert.rejects(
        sendHeartbeat(`${endpoint.url}/${UUID}`),
        (error: Error & { code: string }) => error.code === code && !error.message.includes(UUID),
      )
    })
  }

  test('does not hang, and does not tell the address, which is a secret', async () => {
    await using endpoint = await openEndpoint(() => 'silent')
    await assert.rejects(
      sendHeartbeat(`${endpoint.url}/${UUID}`, { timeoutMs: 50 }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'timeout')
        return !JSON.stringify(error).includes(UUID)
      },
    )
    await assert.rejects(
      sendHeartbeat(`ftp://example.org/${UUID}`),
      (error: Error & { code: string }) => error.code === 'config.invalid' && !error.message.includes(UUID),
    )
  })
})
