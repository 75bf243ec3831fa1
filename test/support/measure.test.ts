import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measure } from './measure.ts'

test('processor time and memory of a command include its children', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, async () => {
  const work =
    'const b = Buffer.alloc(64 << 20, 1); while (process.cpuUsage().user < 400_000); process.exitCode = b[0] - 1'
  const nested = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(work)}])`
  const cost = await measure({ program: process.execPath, args: ['-e', nested] })
  assert.ok(cost.wallMs >= 400)
  assert.ok(cost.cpuMs >= 200, `${cost.cpuMs} ms`)
  assert.ok(cost.peakRssBytes > 64 << 20)
  await assert.rejects(
    measure({ program: process.execPath, args: ['-e', 'console.error("why"); process.exit(3)'] }),
    /ended with 3:\nwhy/,
  )
})
