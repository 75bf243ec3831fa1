import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { generatedDocuments } from '../../scripts/documents/generated.ts'
import { errorCodes } from '../../src/base/error-codes.ts'
import { isTest, readModules, root } from './module-graph.ts'

const documents = globSync(['*.md', 'docs/**/*.md', 'src/**/*.md', 'bench/*.md', 'examples/*.md', 'test/**/*.md'], {
  cwd: root,
})
const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('documents', () => {
  test('every error code is reported by something', () => {
    const sources = readModules('src/**/*.ts').filter(({ path }) => !isTest(path) && !path.endsWith('/error-codes.ts'))
    const unused = Object.keys(errorCodes).filter(
      (code) => !sources.some((module) => module.code.includes(`'${code}'`)),
    )
    assert.deepEqual(unused, [])
  })

  for (const { path, render } of generatedDocuments) {
    test(`${path} is current (npm run docs writes it)`, async () => {
      assert(existsSync(join(root, path)), `${path} is missing`)
      assert.equal(read(path), await render())
    })
  }

  test('links between documents lead somewhere', () => {
    const broken = documents.flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)/g)]
        .filter(([, target]) => !existsSync(join(root, dirname(path), target!)))
        .map(([, target]) => `${path} -> ${target}`),
    )
    assert.deepEqual(broken, [])
  })

  test('files that documents name exist', () => {
    const named = /`((?:src|test|scripts|bench|examples|docs|bin)\/[\w./-]+\.(?:ts|js|cjs|md|json))`/g
    const lost = documents.flatMap((path) =>
      [...read(path).matchAll(named)]
        .filter(([, target]) => !existsSync(join(root, target!)))
        .map(([, target]) => `${path} names ${target}`),
    )
    assert.deepEqual(lost, [])
  })

  test('scripts that documents name exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const lost = documents.flatMap((path) =>
      [...read(path).matchAll(/\bnpm run ([\w:-]+)/g)]
        .filter(([, name]) => scripts[name!] === undefined)
        .map(([, name]) => `${path}: npm run ${name}`),
    )
    assert.deepEqual(lost, [])
  })
})
