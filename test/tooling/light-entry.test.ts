/** `retake/supabase` where there is no Node: built for browsers and edge runtimes, run with nothing but what those have. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'
import { startManagementServer } from '../../src/supabase/test-server/server.ts'
import { makeLightProject, runScript } from '../support/light-package.ts'

const root = resolve(import.meta.dirname, '../..')
const REF = 'abcdefghijklmnopqrst'

/** Compressed, 19.4 KB when this was written. A number that is changed on purpose only. */
const MAXIMUM_GZIP_BYTES = 20 * 1024

async function bundle(options: {
  readonly entry?: string
  readonly format: 'esm' | 'iife'
}): Promise<{ code: string; metafile: Metafile }> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [options.entry ?? 'src/supabase.ts'],
    bundle: true,
    write: false,
    logLevel: 'silent',
    metafile: true,
    minify: true,
    format: options.format,
    globalName: 'retake',
    // Where a module of Node is met, the build for browsers fails.
    platform: 'browser',
    target: 'es2022',
  })
  return { code: outputFiles[0]!.text, metafile }
}

test('the bundle reaches no module of Node, no package and no engine, compiles nothing at run time, and is small', async () => {
  const { code, metafile } = await bundle({ format: 'esm' })
  const inputs = Object.keys(metafile.inputs)
  assert(inputs.length > 10)
  assert.deepEqual(
    inputs.filter((path) => !/^src\/(?:supabase(?:\.ts$|\/)|base\/)/.test(path) || path.includes('test-server')),
    [],
  )
  assert(!/\bnode:/.test(code), 'it names a module of Node')
  assert(!/\beval\(|new Function|\bFunction\(/.test(code), 'edge runtimes refuse code that is compiled at run time')
  const bytes = gzipSync(code).length
  assert(bytes <= MAXIMUM_GZIP_BYTES, `${bytes} bytes compressed`)
})

test('a build that reached Node would fail', async () => {
  await assert.rejects(bundle({ entry: 'src/testing.ts', format: 'esm' }), /node:http/)
})

/** What an edge runtime has: the language and the web's own, nothing of Node. */
function edgeGlobals(): vm.Context {
  const { fetch, URL, URLSearchParams, Headers, Response, AbortController, AbortSignal } = globalThis
  const { TextDecoder, TextEncoder, setTimeout, clearTimeout, performance, atob } = globalThis
  const web = { fetch, URL, URLSearchParams, Headers, Response, AbortController, AbortSignal }
  return vm.createContext({ ...web, TextDecoder, TextEncoder, setTimeout, clearTimeout, performance, atob })
}

test('in an edge runtime it makes a report', async () => {
  await using server = await startManagementServer({
    projects: [
      { ref: REF, backups: { mode: 'pitr', days: 7, earliestUnix: 1_763_000_000, latestUnix: 1_763_500_000 } },
    ],
  })
  const { code } = await bundle({ format: 'iife' })
  const context = edgeGlobals()
  vm.runInContext(code, context)
  context.settings = { ref: REF, token: server.token, url: server.url }
  const json: string = await vm.runInContext(
    `(async () => {
      if (typeof process !== 'undefined' || typeof Buffer !== 'undefined' || typeof require !== 'undefined') throw new Error('this is Node')
      const manager = new retake.DatabaseBackupManager(settings.url, 'a-key', settings.ref,
        { managementToken: settings.token, managementUrl: settings.url })
      const quiet = []
      await retake.BackupMonitor.logBackupStatus({ manager, log: (text) => quiet.push(text) })
      if (quiet.length > 0) throw new Error('a page without NODE_ENV is not development')
      return JSON.stringify(await manager.generateBackupReport())
    })()`,
    context,
  )
  const report = JSON.parse(json) as Record<string, unknown>
  assert.equal(report.pointInTimeRecoveryEnabled, true)
  assert.equal(report.backupRetentionDays, 7)
})

test('both entries run alone, on the oldest Node that is here', async () => {
  await using project = await makeLightProject()
  const { stdout, stderr, status } = await runScript(project, {
    script: `import { BackupMonitor, DatabaseBackupManager, RecoveryProcedures } from 'retake/supabase'
import { startManagementServer } from 'retake/testing'
const server = await startManagementServer({ projects: [{ ref: '${REF}' }] })
const manager = new DatabaseBackupManager(server.url, 'a-key', '${REF}', { managementToken: server.token, managementUrl: server.url })
console.log(BackupMonitor.formatReport(await manager.generateBackupReport()))
console.log(RecoveryProcedures.getEmergencyContacts().length, RecoveryProcedures.getTestingChecklist().length)
await server[Symbol.asyncDispose]()
`,
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /Health score: 0 of 100[\s\S]*Last backup: none[\s\S]*\n4 10\n$/)
})
