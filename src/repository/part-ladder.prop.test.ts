import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LadderPart, MOST_BYTES, PartLadder, RUNGS } from './part-ladder.ts'

function climb(sizes: readonly number[]) {
  const ladder = new PartLadder()
  const stored = new Map<string, LadderPart>()
  let offsetBytes = 0
  let writtenBytes = 0
  let names = 0
  const store = (part: Omit<LadderPart, 'key'>) => {
    const named = { ...part, key: String(++names) }
    stored.set(named.key, named)
    writtenBytes += named.sizeBytes
    return named
  }
  for (const sizeBytes of sizes) {
    ladder.add(store({ offsetBytes, plain: [], sizeBytes }))
    offsetBytes += sizeBytes
    for (let group = ladder.due(); group !== undefined; group = ladder.due()) {
      const joinedBytes = group.reduce((sum, part) => sum + part.sizeBytes, 0)
      assert.ok(joinedBytes <= MOST_BYTES)
      const joined = store({ offsetBytes: group[0]?.offsetBytes ?? -1, plain: [], sizeBytes: joinedBytes })
      ladder.join(group, joined)
      for (const { key } of group) assert.ok(stored.delete(key), 'no part is joined twice')
    }
  }
  return { parts: [...stored.values()].sort((a, b) => a.offsetBytes - b.offsetBytes), offsetBytes, writtenBytes }
}

test('whatever the sizes, the parts that are left adjoin and hold everything once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 600_000 }), { maxLength: 300 }), (sizes) => {
      const { parts, offsetBytes } = climb(sizes)
      let position = 0
      for (const part of parts) {
        assert.equal(part.offsetBytes, position)
        position += part.sizeBytes
      }
      assert.equal(position, offsetBytes)
    }),
  )
})

test('a segment that is filled in thousands of small parts stays in few, each byte written a few times', () => {
  const total = 16 * 1024 * 1024
  for (const count of [100, 3000, 20_000]) {
    const { parts, writtenBytes } = climb(Array.from({ length: count }, () => Math.floor(total / count)))
    assert.ok(parts.length <= 4 * RUNGS, `${parts.length} parts are left of ${count}`)
    assert.ok(writtenBytes <= 4 * total, `${count}: ${writtenBytes} bytes written`)
  }
})
