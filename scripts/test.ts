/**
 * `npm test [-- FILTER…]`: every test file of `src`, `test` and `examples`, those that need nothing first, then those that need
 * an S3 server (one is started for all of them), then those that start real PostgreSQL servers. A filter is a part of a path. The last line is `N passed, N failed[, N skipped]`.
 */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { providePromtool } from './testing/promtool.ts'
import { describeFile, summarize } from './testing/report.ts'
import { type FileResult, runTestFile } from './testing/run-test-file.ts'
import { startS3ForRun } from './testing/s3-server.ts'
import { findTestFiles } from './testing/test-files.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    root: { type: 'string', default: resolve(import.meta.dirname, '..') },
    concurrency: { type: 'string', default: '3' },
    'test-timeout': { type: 'string', default: '300' },
    'file-timeout': { type: 'string', default: '600' },
  },
})

const begunMs = performance.now()
const root = resolve(values.root)
const files = findTestFiles(root, positionals)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

// Short, because the path of a Unix socket in it may have 107 bytes; the real path, because leftovers are known by it.
const tmp = realpathSync(mkdtempSync(join(tmpdir(), 'rt-')))
chmodSync(tmp, 0o755)
forgetEnvironment()
// Where the files of this run share new databases.
process.env.RETAKE_TEST_TEMPLATES = makeSharedPlace('templates')
// A process spends most of its start on parsing; there are thousands of them, and each needs the same modules.
process.env.NODE_COMPILE_CACHE = makeSharedPlace('compiled')

providePromtool(files, join(tmp, 'promtool'))
const s3 = startS3ForRun(files, join(tmp, 's3'))
const results: FileResult[] = []
const waiting = files.entries()

async function work(): Promise<void> {
  for (const [index, file] of waiting) {
    if (file.kind === 's3') await s3.ready
    if (stop.signal.aborted) return
    const result = await runTestFile(file, {
      tmpDir: join(tmp, String(index)),
      testTimeoutMs: Number(values['test-timeout']) * 1000,
      fileTimeoutMs: Number(values['file-timeout']) * 1000,
      signal: stop.signal,
    })
    results.push(result)
    console.log(describeFile(result, `${results.length}/${files.length}`))
  }
}

try {
  await Promise.all(Array.from({ length: Number(values.concurrency) }, work))
} finally {
  await s3[Symbol.asyncDispose]()
  rmSync(tmp, { recursive: true, force: true })
}

if (files.length === 0) {
  console.error(`No test file matches ${positionals.join(' ')}.`)
  process.exitCode = 2
} else {
  console.log(summarize(results, performance.now() - begunMs))
  const failed = results.some(({ failures }) => failures.length > 0)
  process.exitCode = stop.signal.aborted ? 130 : failed ? 1 : 0
}

/** The account of the servers writes there, too. */
function makeSharedPlace(name: string): string {
  const path = join(tmp, name)
  mkdirSync(path)
  chmodSync(path, process.getuid?.() === 0 ? 0o1777 : 0o700)
  return path
}

/** The caller's settings for PostgreSQL and Retake must not decide what a test does. */
function forgetEnvironment(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(PG|RETAKE_(?!TEST_))[A-Z_]+$/.test(name) || name === 'NODE_TEST_CONTEXT') delete process.env[name]
  }
}
