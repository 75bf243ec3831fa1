/**
 * What a user gets: builds and packs the package, installs the tarball in an empty project, and uses it there as a
 * library (with its types), as a command, and on a Node that is too old.
 */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { name: string; version: string }
const box = mkdtempSync(join(tmpdir(), 'retake-package-'))
const consumer = join(box, 'consumer')

try {
  step('build', () => run(process.execPath, [`${root}/scripts/build.ts`], { cwd: root }))
  const tarball = step('pack', pack)
  step('install', () => install(tarball))
  step('no Node and no development tools are installed', checkInstalled)
  step('import', checkImport)
  step('types', checkTypes)
  step('command', checkCommand)
  step('server', checkServer)
  step('old Node', checkOldNode)
  step('light entries', () => checkLightEntries(tarball))
  step('light types', checkLightTypes)
  console.log('The package is as it should be.')
} finally {
  rmSync(box, { recursive: true, force: true })
}

function step<T>(name: string, work: () => T): T {
  const begunMs = performance.now()
  const result = work()
  console.log(`    ${name}: ok (${((performance.now() - begunMs) / 1000).toFixed(1)} s)`)
  return result
}

/** Packs, and checks that nothing but what is meant for users is in the tarball. */
function pack(): string {
  const { stdout } = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', box], { cwd: root })
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[]
  assert(packed, 'npm pack made nothing')
  const strange = packed.files
    .map(({ path }) => path)
    .filter(
      (path) =>
        !/^(bin\/retake\.js|dist\/(?:lib|light)\/[^/]+\.js|dist\/types\/.+\.d\.ts|dist\/config\.schema\.json|dist\/licenses\/.+\.txt|deploy\/(?:retake\.service|Dockerfile|compose\.yaml)|monitoring\/retake\.(?:rules\.yaml|dashboard\.json)|README\.md|LICENSE|package\.json)$/.test(
          path,
        ),
    )
  assert.deepEqual(strange, [], 'files that no user needs are in the package')
  const forTests = packed.files.filter(({ path }) => /\.test\.|\/testing\//.test(path))
  assert.deepEqual(forTests, [], 'test files are in the package')
  return join(box, packed.filename)
}

function install(tarball: string): void {
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n')
  run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball], { cwd: consumer })
}

function checkInstalled(): void {
  assert(!existsSync(join(consumer, 'node_modules/.bin/node')), 'the package brings a Node binary')
  const names = readdirSync(join(consumer, 'node_modules'))
  const unwanted = names.filter((name) => /^(node-|pg\d\d-|typescript$|@biomejs|knip|fast-check)/.test(name))
  assert.deepEqual(unwanted, [], 'development dependencies were installed')
}

function checkImport(): void {
  writeFileSync(
    join(consumer, 'import.mjs'),
    `import * as retake from '${manifest.name}'
import schema from '${manifest.name}/config.schema.json' with { type: 'json' }
if (typeof schema.properties !== 'object') throw new Error('the configuration schema has no properties')
console.log(Object.keys(retake).join(' '))
`,
  )
  const names = run(process.execPath, ['import.mjs'], { cwd: consumer }).stdout.trim().split(' ')
  assert(names.includes('RetakeError') && names.length > 5, `the library exports only: ${names.join(' ')}`)
}

/** The declarations are checked themselves (`skipLibCheck` off), so that a type which leaks a private import is found. */
function checkTypes(): void {
  mkdirSync(join(consumer, 'node_modules/@types'), { recursive: true })
  symlinkSync(`${root}/node_modules/@types/node`, join(consumer, 'node_modules/@types/node'))
  writeFileSync(
    join(consumer, 'use.ts'),
    `import * as retake from '${manifest.name}'
const error: retake.RetakeError = new retake.RetakeError('aborted', 'text')
export const exit: number = error.exitCode
// @ts-expect-error a code that does not exist
new retake.RetakeError('no.such.code', 'text')
`,
  )
  writeFileSync(join(consumer, 'readme.ts'), readmeExample())
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    rootDir: '.',
  }
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts', 'readme.ts'] }))
  run(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', '.'], { cwd: consumer })
}

/** The README's library example, so that what it shows compiles against what is published. */
function readmeExample(): string {
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${root}/README.md`, 'utf8'))?.[1]
  assert(example, 'the README has no TypeScript example')
  return example
}

function checkCommand(): void {
  const asked = run('npx', ['--no-install', 'retake', '--version'], { cwd: consumer })
  assert.equal(asked.stdout.trim(), manifest.version)
  assert.match(run('npx', ['--no-install', 'retake', '--help'], { cwd: consumer }).stdout, /retake demo/)
  writeFileSync(join(consumer, 'retake.config.yaml'), 'repo: absent\nkeyFile: absent.key\nworkers: 1\n')
  const answered = run('node', ['--eval', readConfigScript()], { cwd: consumer })
  assert.match(answered.stdout, /"code": "key\.missing"|"code": "repo\.missing"|"code": "config\.invalid"/)
  assert.match(answered.stdout, /absent/)
}

/** The command fails, because nothing is there; that it says so shows that it has read the file. */
function readConfigScript(): string {
  return `
  const { stdout } = require('node:child_process').spawnSync('npx', ['--no-install', 'retake', 'backups', '--json'], { encoding: 'utf8' })
  console.log(stdout)
`
}

/** The server of the installed package comes up, answers, and ends in order. */
function checkServer(): void {
  // The account that a root lends to PostgreSQL must get in.
  chmodSync(box, 0o755)
  const { stdout } = run(process.execPath, ['--eval', serveScript()], { cwd: consumer })
  assert.match(stdout, /answered \{"alive":true\} ended 0/)
}

function serveScript(): string {
  return `
  const server = require('node:child_process').spawn('node_modules/.bin/retake', ['serve', '--data', 'server', '--listen', '0'])
  let told = ''
  server.stderr.on('data', async (bytes) => {
    told += bytes
    const [, url] = /ready at (http:..[0-9.]+:[0-9]+)/.exec(told) ?? []
    if (!url || server.asked) return
    server.asked = true
    const answer = await fetch(url + '/livez')
    const text = await answer.text()
    server.on('exit', (code) => console.log('answered', text, 'ended', code))
    server.kill('SIGTERM')
  })
  server.on('exit', (code) => { if (!server.asked) { console.error(told); process.exit(1) } })
`
}

function checkOldNode(): void {
  const old = findOldNode()
  if (old === undefined) {
    console.log('    (no Node older than 24 on this machine: its refusal was not tried)')
    return
  }
  const bin = join(consumer, `node_modules/${manifest.name}/bin/retake.js`)
  const refused = spawnSync(old, [bin, 'status'], { encoding: 'utf8' })
  assert.equal(refused.status, 50)
  assert.match(refused.stderr, /needs Node\.js 24 or newer/)
  assert.equal(
    spawnSync(old, [bin, 'wal', 'get', 'a', 'b']).status,
    126,
    'PostgreSQL would take this for the end of the WAL',
  )
}

/** The light entries from the tarball alone, without any of its dependencies, on the oldest Node that is here. */
function checkLightEntries(tarball: string): void {
  const place = join(box, 'light')
  const installed = join(place, `node_modules/${manifest.name}`)
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'], { cwd: place })
  writeFileSync(
    join(place, 'use.mjs'),
    `import { BackupMonitor, DatabaseBackupManager } from '${manifest.name}/supabase'
import { startManagementServer } from '${manifest.name}/testing'
import { createClient } from '${manifest.name}/client'
const ref = 'abcdefghijklmnopqrst'
const server = await startManagementServer({ projects: [{ ref }] })
const settings = { managementToken: server.token, managementUrl: server.url }
const manager = new DatabaseBackupManager(server.url, 'a-key', ref, settings)
console.log(BackupMonitor.formatReport(await manager.generateBackupReport()))
await server.close()
console.log(await createClient({ url: 'http://127.0.0.1:1' }).getServer().catch(({ code }) => code))
`,
  )
  const asked = run(findOldNode() ?? process.execPath, ['use.mjs'], { cwd: place })
  assert.match(
    asked.stdout,
    /^Backup report for cinetrack \(abcdefghijklmnopqrst\), us-east-1[\s\S]*\napi\.unreachable\n$/,
  )
  assert.equal(asked.stderr, '')
}

/** For a page or an edge runtime: with the browser's types and without Node's. */
function checkLightTypes(): void {
  writeFileSync(
    join(consumer, 'light.ts'),
    `import { createClient } from '${manifest.name}/client'
import { BackupMonitor, DatabaseBackupManager, RecoveryProcedures } from '${manifest.name}/supabase'
const manager = new DatabaseBackupManager('https://abcdefghijklmnopqrst.supabase.co', 'key', 'abcdefghijklmnopqrst')
export const text: Promise<string> = manager.generateBackupReport().then((report) => BackupMonitor.formatReport(report))
export const server: Promise<string> = createClient({ url: 'http://127.0.0.1:7432' }).getServer().then(({ version }) => version)
export const steps: number = RecoveryProcedures.getRecoveryInstructions().length
// @ts-expect-error what may be unknown is no number
export const days: Promise<number> = manager.generateBackupReport().then((report) => report.backupRetentionDays)
`,
  )
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022', 'dom', 'esnext.disposable'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: [],
    rootDir: '.',
  }
  writeFileSync(join(consumer, 'light.json'), JSON.stringify({ compilerOptions, files: ['light.ts'] }))
  run(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', 'light.json'], { cwd: consumer })
}

function findOldNode(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/bin', '/usr/local/bin')
    .map((part) => join(part, 'node'))
    .find((path) => {
      if (!existsSync(path)) return false
      const major = /^v(\d+)/.exec(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
      return major !== undefined && Number(major) < 24
    })
}

/** Runs to the end and shows everything when it fails. npm inside npm must not take this project for its own. */
function run(program: string, args: readonly string[], options: { readonly cwd: string }): SpawnSyncReturns<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(npm_(package|lifecycle)_|npm_config_(local_prefix|workspace|include|omit)|npm_command|INIT_CWD|NODE_ENV)/.test(
          name,
        ),
    ),
  )
  env.PATH = `${dirname(process.execPath)}${delimiter}${env.PATH ?? ''}`
  const result = spawnSync(program, args, { ...options, env, encoding: 'utf8' })
  if (result.error) throw result.error
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}\n`)
    throw new Error(`${program} ${args.join(' ')} ended with status ${result.status}`)
  }
  return result
}
