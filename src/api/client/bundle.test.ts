/** The client where there is no Node: built for browsers, and run with nothing but what those have. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build, type Metafile, stop } from 'esbuild'
import { startApi, TOKEN } from '../testing/api-stage.ts'

const root = resolve(import.meta.dirname, '../../..')

/** Compressed; most of it is the package that checks answers. A number that is changed on purpose only. */
const MAXIMUM_GZIP_BYTES = 40 * 1024

async function bundle(entry: string, format: 'esm' | 'iife' = 'esm'): Promise<{ code: string; metafile: Metafile }> {
  try {
    const { outputFiles, metafile } = await build({
      absWorkingDir: root,
      entryPoints: [entry],
      bundle: true,
      write: false,
      logLevel: 'silent',
      metafile: true,
      minify: true,
      format,
      globalName: 'retake',
      // Where a module of Node is met, the build for browsers fails.
      platform: 'browser',
      target: 'es2022',
    })
    return { code: outputFiles[0]!.text, metafile }
  } finally {
    await stop()
  }
}

test('the client reaches no module of Node, no engine and no server, and is not large', async () => {
  const { code, metafile } = await bundle('src/client.ts')
  const inputs = Object.keys(metafile.inputs)
  assert(inputs.length > 10)
  const strange = inputs.filter(
    (path) => !/^(?:src\/client\.ts|src\/api\/(?:client|contract)\/|src\/base\/|node_modules\/zod\/)/.test(path),
  )
  assert.deepEqual(strange, [])
  assert(!/\bnode:/.test(code), 'it names a module of Node')
  const bytes = gzipSync(code).length
  assert(bytes <= MAXIMUM_GZIP_BYTES, `${bytes} bytes compressed`)
})

test('a build that reached Node would fail', async () => {
  await assert.rejects(bundle('src/api/serve.ts'), /node:/)
})

test('with what a browser has it asks, acts and watches', async () => {
  await using api = await startApi()
  const { code } = await bundle('src/client.ts', 'iife')
  const { fetch, URL, URLSearchParams, AbortController, TextDecoder, setTimeout, clearTimeout, crypto } = globalThis
  const web = { fetch, URL, URLSearchParams, AbortController, TextDecoder, setTimeout, clearTimeout, crypto }
  const context = vm.createContext({ ...web, settings: { url: api.server.url, token: TOKEN } })
  vm.runInContext(code, context)
  const json: string = await vm.runInContext(
    `(async () => {
      if (typeof process !== 'undefined' || typeof Buffer !== 'undefined' || typeof require !== 'undefined') throw new Error('this is Node')
      const client = retake.createClient(settings)
      const run = await client.startRun({ cluster: 'main', body: { task: 'check' } })
      const states = []
      for await (const { state } of client.watchRun({ run: run.id })) {
        states.push(state)
        if (state === 'queued') await client.cancelRun({ run: run.id })
      }
      return JSON.stringify(states)
    })()`,
    context,
  )
  assert.deepEqual(JSON.parse(json), ['queued', 'cancelled'])
})
