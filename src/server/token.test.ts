import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { makeTemp } from '../../test/support/temp.ts'
import { serverToken, tokenFile } from './token.ts'

test('of servers that begin at once on one new directory, all have the same token', async () => {
  await using temp = makeTemp()
  const directory = temp.join('data')
  const tokens = await Promise.all(Array.from({ length: 8 }, () => serverToken({ directory, env: {} })))
  assert.match(tokens[0] ?? '', /^[0-9a-f]{64}$/)
  assert.equal(new Set(tokens).size, 1)
  assert.deepEqual(await readdir(directory), ['token'])
  assert.equal((await stat(tokenFile(directory))).mode & 0o777, 0o600)
})

test('whenever another server looks, the token is not there or whole', async () => {
  await using temp = makeTemp()
  const file = tokenFile(temp.path)
  let made: string | undefined
  const making = serverToken({ directory: temp.path, env: {} }).then((token) => {
    made = token
  })
  const seen = new Set<string>()
  while (made === undefined) {
    if (existsSync(file)) seen.add(readFileSync(file, 'utf8'))
    await nextTurn()
  }
  await making
  assert.ok(seen.size <= 1)
  for (const text of seen) assert.equal(text, `${made}\n`)
})

test('a server that comes again uses the token that is there, or the one of its environment', async () => {
  await using temp = makeTemp()
  const first = await serverToken({ directory: temp.path, env: {} })
  assert.equal(await serverToken({ directory: temp.path, env: {} }), first)
  const given = 'another-token-of-the-environment'
  assert.equal(await serverToken({ directory: temp.path, env: { RETAKE_TOKEN: given } }), given)
})
