import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { findCycles, type ImportEdge, isTest, layerOf, readModules, root, type SourceModule } from './module-graph.ts'

/** What each folder of `src` may import, besides itself. Downward only; siblings meet in the repository's formats. */
const below: Readonly<Record<string, readonly string[]>> = {
  base: [],
  postgres: ['base'],
  storage: ['base'],
  repository: ['base', 'postgres', 'storage'],
  catalog: ['base', 'postgres', 'storage', 'repository'],
  sources: ['base', 'postgres', 'storage', 'repository', 'catalog'],
  recovery: ['base', 'postgres', 'storage', 'repository', 'catalog'],
  // What happened when, out of the log that is held.
  journal: ['base', 'postgres', 'storage', 'repository', 'catalog', 'recovery'],
  // When something is due, and whether it came; what is known of the past is told by the engine.
  schedules: ['base'],
  engine: [
    'base',
    'postgres',
    'storage',
    'repository',
    'catalog',
    'sources',
    'recovery',
    'journal',
    'schedules',
    'supabase',
  ],
  // Rehearsed recoveries: the verbs of the engine, carried out where they harm nobody.
  drills: ['base', 'postgres', 'storage', 'repository', 'catalog', 'recovery', 'engine'],
  // Looks at what the verbs show, and judges it; alerts will stand on it.
  monitor: [
    'base',
    'postgres',
    'storage',
    'repository',
    'catalog',
    'sources',
    'recovery',
    'journal',
    'schedules',
    'supabase',
    'engine',
  ],
  // What servers share: the control database, durable workflows. It keeps reports of the monitor and does not make them.
  control: ['base', 'postgres', 'monitor'],
  // What the server shows, as HTTP; it carries nothing out itself. `contract` and `client` go into browsers, which their bundle test shows.
  api: ['base', 'engine', 'monitor'],
  client: ['base', 'api'],
  // The process that looks after clusters: the parts put together.
  server: ['base', 'postgres', 'schedules', 'engine', 'drills', 'monitor', 'control', 'api'],
  // Published apart, for programs without Node: it may use of `base` only what runs there too, which its bundle test shows.
  supabase: ['base'],
  testing: ['base', 'supabase'],
  // The demo is a user of the verbs like any other program; only the command knows it.
  demo: ['base', 'postgres', 'storage', 'repository', 'catalog', 'sources', 'recovery', 'engine'],
  cli: [
    'base',
    'postgres',
    'storage',
    'repository',
    'catalog',
    'sources',
    'recovery',
    'schedules',
    'supabase',
    'engine',
    'drills',
    'monitor',
    'client',
    'server',
    'demo',
  ],
  index: [
    'base',
    'postgres',
    'storage',
    'repository',
    'catalog',
    'sources',
    'recovery',
    'schedules',
    'supabase',
    'engine',
    'drills',
    'monitor',
  ],
}

/** Which folder may use which package: each is wrapped in one place, so that replacing it touches one place. */
const packages: Readonly<Record<string, readonly string[]>> = {
  pg: ['postgres', 'demo', 'control'],
  '@dbos-inc/dbos-sdk': ['control'],
  kysely: ['control', 'server'],
  pino: ['server'],
  '@opentelemetry/api': ['server'],
  'hash-wasm': ['postgres', 'repository'],
  '@napi-rs/blake-hash': ['repository'],
  '@aws-sdk/client-s3': ['storage'],
  '@aws-sdk/client-kms': ['engine'],
  commander: ['cli'],
  croner: ['schedules'],
  nodemailer: ['monitor'],
  yaml: ['engine'],
  zod: ['journal', 'engine', 'repository', 'monitor', 'server', 'api'],
  hono: ['api'],
  '@hono/node-server': ['api'],
}

/** The public surfaces: what may re-export. */
const surfaces = new Set(['src/index.ts', 'src/client.ts', 'src/supabase.ts', 'src/testing.ts'])

const modules = readModules('src/**/*.ts')
const production = modules.filter(({ path }) => !isTest(path))

const edgesOf = (list: readonly SourceModule[]) =>
  list.flatMap((module) => module.imports.map((edge) => ({ from: module.path, ...edge })))

const arrow = ({ from, specifier }: ImportEdge & { from: string }) => `${from} -> ${specifier}`

describe('dependencies', () => {
  test('every folder of src has its place in the table', () => {
    assert(production.length > 50, 'the sources were not found')
    const strange = production.filter(({ path }) => below[layerOf(path)] === undefined).map(({ path }) => path)
    assert.deepEqual(strange, [])
  })

  test('imports point downward only', () => {
    const upward = edgesOf(production).filter(({ from, target }) => {
      if (target === undefined || !target.startsWith('src/')) return false
      const layer = layerOf(from)
      return layerOf(target) !== layer && !below[layer]?.includes(layerOf(target))
    })
    assert.deepEqual(upward.map(arrow), [])
  })

  test("sources import nothing outside of src but package.json and the command's address", () => {
    const outside = edgesOf(production).filter(
      ({ target }) =>
        target !== undefined && !target.startsWith('src/') && target !== 'package.json' && target !== 'bin/retake.js',
    )
    assert.deepEqual(outside.map(arrow), [])
  })

  test('every relative import and worker address leads to a file', () => {
    const lost = edgesOf(modules).filter(({ target }) => target !== undefined && !existsSync(join(root, target)))
    assert.deepEqual(lost.map(arrow), [])
  })

  test('production code imports no tests and no testing folder', () => {
    const leaks = edgesOf(production).filter(
      ({ from, target }) =>
        target !== undefined && (isTest(target) || (target.includes('/testing/') && !from.includes('/testing/'))),
    )
    assert.deepEqual(leaks.map(arrow), [])
  })

  test('each package is used in its folder only', () => {
    const strange = edgesOf(production).filter(({ from, specifier, target }) => {
      if (target !== undefined || specifier.startsWith('node:')) return false
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
      return !packages[name]?.includes(layerOf(from))
    })
    assert.deepEqual(strange.map(arrow), [])
  })

  test('no module imports itself through others', () => {
    assert.deepEqual(
      findCycles(modules).map((cycle) => cycle.join(' -> ')),
      [],
    )
  })

  test('only the public surface re-exports', () => {
    const barrels = production
      .filter(
        ({ path, code }) => !surfaces.has(path) && /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})[^'"\n]*\sfrom\s/.test(code),
      )
      .map(({ path }) => path)
    assert.deepEqual(barrels, [])
  })
})

describe('the checks themselves', () => {
  const moduleOf = (path: string, ...targets: string[]): SourceModule => ({
    path,
    text: '',
    code: '',
    imports: targets.map((target) => ({ specifier: target, target, kind: 'static' })),
  })

  test('a cycle is found', () => {
    assert.deepEqual(findCycles([moduleOf('a', 'b'), moduleOf('b', 'c'), moduleOf('c', 'b')]), [['b', 'c', 'b']])
  })

  test('a worker and a type import are seen', () => {
    const edges = edgesOf(production)
    assert(edges.some(({ kind, target }) => kind === 'address' && target?.endsWith('worker.ts')))
    assert(edges.some(({ from, target }) => from === 'src/base/errors.ts' && target === 'src/base/error-codes.ts'))
  })
})
