import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Lsn } from '../../postgres/lsn.ts'
import { bitAt, classifyPages, visiblePages } from './page-change.ts'

const BLOCK = 512
const LEAST = 0x10_0000n as Lsn

interface Page {
  readonly lsn: bigint
  readonly visible: boolean
  readonly held: boolean
  readonly heldVisible: boolean
  readonly zero: boolean
}

const lsn = (since: bigint) =>
  fc.oneof(
    fc.constantFrom(0n, 1n, 40n, 1000n, LEAST - 1n, LEAST, since - 1n, since, since + 1n, 0xffff_ffff_ffff_ffffn),
    fc.bigInt({ min: 0n, max: since * 2n }),
  )
const scenario = fc.bigInt({ min: LEAST, max: 0xff_ffff_ffffn }).chain((since) =>
  fc.record({
    since: fc.constant(since as Lsn),
    pages: fc.array(
      fc.record({
        lsn: lsn(since),
        visible: fc.boolean(),
        held: fc.boolean(),
        heldVisible: fc.boolean(),
        zero: fc.boolean(),
      }),
      { minLength: 1, maxLength: 40 },
    ),
  }),
)

function encode(pages: readonly Page[]): Buffer {
  const bytes = Buffer.alloc(pages.length * BLOCK)
  for (const [index, page] of pages.entries()) {
    if (page.zero) continue
    const at = index * BLOCK
    bytes.writeUInt32LE(Number(page.lsn >> 32n), at)
    bytes.writeUInt32LE(Number(page.lsn & 0xffff_ffffn), at + 4)
    bytes.writeUInt16LE(page.visible ? 4 : 3, at + 10)
    bytes[at + BLOCK - 1] = 1
  }
  return bytes
}

function bitsOf(flags: readonly boolean[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(flags.length / 8))
  for (const [at, flag] of flags.entries()) if (flag) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7))
  return bits
}

/** The rule in words: the parent has the block, the page's LSN is a real one up to its start, and its visibility is the same. */
function isUnchanged(page: Page, since: Lsn): boolean {
  if (page.zero || page.lsn === 0n || page.lsn > since) return false
  const isReal = page.lsn >= LEAST || page.lsn === 40n
  return isReal && page.held && page.visible === page.heldVisible
}

test('a page is left to the parent exactly when the rule says so', () => {
  fc.assert(
    fc.property(scenario, ({ since, pages }) => {
      const known = {
        sources: Uint8Array.from(pages, ({ held }, index) => (held ? 1 + (index % 7) : 0)),
        visible: bitsOf(pages.map(({ heldVisible }) => heldVisible)),
      }
      const bytes = encode(pages)
      const { changed, zero } = classifyPages(bytes, {
        rule: { blockSizeBytes: BLOCK, sinceLsn: since, leastLsn: LEAST },
        known,
      })
      for (const [index, page] of pages.entries()) {
        const word = `page at ${page.lsn} since ${since}`
        assert.equal(changed[index], isUnchanged(page, since) ? 0 : 1, word)
        assert.equal(zero[index], page.zero ? 1 : 0)
      }
      const visible = visiblePages(bytes, BLOCK)
      for (const [index, page] of pages.entries()) assert.equal(bitAt(visible, index), page.visible && !page.zero)
    }),
    { numRuns: 500 },
  )
})
