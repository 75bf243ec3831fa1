import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isTest, readModules, root } from './module-graph.ts'

const MAXIMUM_LINES = 400
const README_MAXIMUM_LINES = 60
const README_HEADINGS = ['Owns', 'Does not own', 'Invariants', 'Entry points']

const production = readModules('src/**/*.ts').filter(({ path }) => !isTest(path))

describe('house rules', () => {
  test(`no source file is longer than ${MAXIMUM_LINES} lines`, () => {
    const long = production
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > MAXIMUM_LINES)
    assert.deepEqual(long, [])
  })

  test('nothing is left for later in the sources', () => {
    const unfinished = production.filter(({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b|not implemented/i.test(text))
    assert.deepEqual(
      unfinished.map(({ path }) => path),
      [],
    )
  })

  test('only the entry of the command line ends the process', () => {
    const exits = production.filter(({ path, code }) => /\bprocess\.exit\(/.test(code) && path !== 'src/cli/main.ts')
    assert.deepEqual(
      exits.map(({ path }) => path),
      [],
    )
  })

  test('randomness for names and keys comes from node:crypto', () => {
    const weak = production.filter(({ code }) => /\bMath\.random\(/.test(code))
    assert.deepEqual(
      weak.map(({ path }) => path),
      [],
    )
  })

  test('a worker thread is handed the address of a store, which names all of its places, not the URL of one', () => {
    const handed = production.filter(({ code }) => /\b(?:store|storeUrl):\s*[\w.#]*\bstore\.url\b/.test(code))
    assert.deepEqual(
      handed.map(({ path }) => path),
      [],
    )
  })

  for (const folder of folders()) {
    test(`src/${folder} says what it owns`, () => {
      const path = join(root, 'src', folder, 'README.md')
      assert(existsSync(path), `src/${folder}/README.md is missing`)
      const text = readFileSync(path, 'utf8')
      assert(text.trimEnd().split('\n').length <= README_MAXIMUM_LINES, `longer than ${README_MAXIMUM_LINES} lines`)
      const headings = [...text.matchAll(/^#+\s+(.+?)\s*$/gm)].map(([, heading]) => heading)
      assert.deepEqual(
        README_HEADINGS.filter((heading) => !headings.includes(heading)),
        [],
        'headings that are missing',
      )
      const named = [...text.matchAll(/`([\w/-]+\.ts)`/g)].map(([, name]) => name!)
      assert.deepEqual(
        named.filter((name) => !existsSync(join(root, 'src', folder, name))),
        [],
        'files that do not exist',
      )
    })
  }
})

function folders(): string[] {
  return readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}
