import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Prints what was resolved of the SDK while a place was opened. */
const SCRIPT = `
  const { registerHooks } = await import('node:module')
  const loaded = []
  registerHooks({ resolve(specifier, context, next) {
    if (specifier.startsWith('@aws-sdk/')) loaded.push(specifier)
    return next(specifier, context)
  } })
  const { openStore } = await import(process.argv[1])
  await openStore(process.argv[2]).catch(() => {})
  process.stdout.write(loaded[0] ?? 'nothing')`

test('the SDK is loaded for a bucket, and for nothing else', () => {
  const module = fileURLToPath(new URL('./open.ts', import.meta.url))
  const loads = (url: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT, module, url], {
      encoding: 'utf8',
    }).stdout
  assert.equal(loads('.'), 'nothing')
  assert.equal(loads('memory:'), 'nothing')
  // Nothing is asked of anybody: the file of the authority is missing, which is found out with the SDK at hand.
  assert.equal(loads('s3://bucket?ca-file=/nonexistent'), '@aws-sdk/client-s3')
})
