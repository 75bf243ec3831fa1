import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileRun, ManifestEntry } from './manifest.ts'
import { decodeEntry, encodeEntry } from './manifest-lines.ts'

const PACKS = 3
const segment = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..')
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const mode = fc.nat(0o7777)
const frame = fc.record({
  pack: fc.nat(PACKS - 1),
  index: fc.nat(1000),
  offsetBytes: fc.nat(2 ** 31 - 1),
  storedBytes: fc.nat(2 ** 20),
  plainBytes: fc.integer({ min: 100, max: 2 ** 20 }),
  codec: fc.constantFrom('zstd' as const, 'raw' as const),
  contentId: fc.base64String({ minLength: 44, maxLength: 44 }),
})
const runs = fc
  .array(
    fc.record({
      lengthBytes: fc.integer({ min: 1, max: 50 }),
      frameOffsetBytes: fc.nat(50),
      frame: fc.option(frame, { nil: undefined }),
      again: fc.nat(3),
    }),
  )
  .map((parts) => {
    let offsetBytes = 0
    return parts.map(({ lengthBytes, frameOffsetBytes, frame: own, again }, index): FileRun => {
      // Most runs of an incremental backup lie in frames that were named before.
      const frame = again > 0 ? (parts[index - again]?.frame ?? own) : own
      const run = { offsetBytes, lengthBytes, ...(frame ? { frame, frameOffsetBytes } : { frameOffsetBytes: 0 }) }
      offsetBytes += lengthBytes
      return run
    })
  })
const blocks = fc.array(fc.nat(), { minLength: 1, maxLength: 5 })
const file = fc
  .record({
    path,
    mode,
    modifiedMs: fc.nat(),
    runs,
    tornBlocks: fc.option(blocks, { nil: undefined }),
    corruptBlocks: fc.option(blocks, { nil: undefined }),
    allVisible: fc.option(fc.constantFrom('_w8', 'AQ', '__8f'), { nil: undefined }),
    contentId: fc.option(fc.constant('C'.repeat(43)), { nil: undefined }),
  })
  .map(({ tornBlocks, corruptBlocks, allVisible, contentId, ...rest }): ManifestEntry => {
    const sizeBytes = rest.runs.reduce((sum, run) => sum + run.lengthBytes, 0)
    return {
      type: 'file',
      ...rest,
      sizeBytes,
      ...(tornBlocks ? { tornBlocks } : {}),
      ...(corruptBlocks ? { corruptBlocks } : {}),
      ...(allVisible ? { allVisible } : {}),
      ...(contentId ? { contentId } : {}),
    }
  })
const hex = fc
  .array(fc.constantFrom(...'0123456789abcdef'), { minLength: 32, maxLength: 32 })
  .map((digits) => digits.join(''))
const entry: fc.Arbitrary<ManifestEntry> = fc.oneof(
  file,
  fc.record({ type: fc.constant('directory' as const), path, mode }),
  fc.record({ type: fc.constant('link' as const), path, target: fc.string() }),
  fc.record({ type: fc.constant('pack' as const), packId: hex, salt: fc.constant('A'.repeat(43)), epoch: fc.nat() }),
)

test('every entry survives its line, which is one line', () => {
  fc.assert(
    fc.property(entry, (original) => {
      const line = encodeEntry(original, PACKS)
      assert.ok(!line.includes('\n'))
      // Generated records have no prototype, which is of no interest here.
      assert.deepEqual(decodeEntry(line, PACKS), structuredClone(original))
    }),
  )
})

test('a line that is changed anywhere is refused or is another valid entry, never an exception', () => {
  fc.assert(
    fc.property(
      entry,
      fc.nat(),
      fc.constantFrom('', '0', '"', '[', ']', ',', '-', '1e99', 'null', '../'),
      (original, at, text) => {
        const line = encodeEntry(original, PACKS)
        const position = at % (line.length + 1)
        const decoded = decodeEntry(line.slice(0, position) + text + line.slice(position + 1), PACKS)
        if (decoded !== undefined) assert.deepEqual(decodeEntry(encodeEntry(decoded, PACKS), PACKS), decoded)
      },
    ),
    { numRuns: 1000 },
  )
})

test('what would lead a restore astray is refused', () => {
  const run = '[10,0,0,1,64,26,10,1,"id"]'
  assert.ok(decodeEntry(`["f","a",10,384,0,[${run}]]`, 1), 'the pattern itself is fine')
  const bad = [
    `["f","../a",10,384,0,[${run}]]`,
    `["f","/a",10,384,0,[${run}]]`,
    `["f","a//b",10,384,0,[${run}]]`,
    `["f","a",11,384,0,[${run}]]`,
    `["f","a",9,384,0,[${run}]]`,
    `["f","a",10,384,0,[${run}],[1]]`,
    `["f","a",10,99999,0,[${run}]]`,
    '["f","a",10,384,0,[[10,0,1,1,64,26,10,1,"id"]]]',
    '["f","a",10,384,0,[[10,1,0,1,64,26,10,1,"id"]]]',
    '["f","a",10,384,0,[[10,0,0,1,64,26,2000000,1,"id"]]]',
    '["f","a",10,384,0,[[10,0,0,-1,64,26,10,1,"id"]]]',
    '["f","a",0,384,0,[0]]',
    `["f","a",10,384,0,[${run}],{"torn":[-1]}]`,
    `["f","a",10,384,0,[${run}],{"visible":"*"}]`,
    `["f","a",10,384,0,[${run}],{"else":1}]`,
    `["f","a",20,384,0,[${run},[10,0,1]]]`,
    `["f","a",10,384,0,[[10,0,0],${run}]]`,
    `["f","a",20,384,0,[${run},[10,5,0]]]`,
    '["x","a",1]',
    '["d","",448]',
    '["l","a"]',
    '["p","x","y"]',
    '{}',
    '',
  ]
  for (const line of bad) assert.equal(decodeEntry(line, 1), undefined, line)
})
