/** The light entries as users get them: built as `npm run build` builds them, alone in a project, and an older Node to run them. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { build, stop } from 'esbuild'
import { makeTemp, type TempDirectory } from './temp.ts'

const root = resolve(import.meta.dirname, '../..')

/** A project with nothing in it but `retake/client`, `retake/supabase` and `retake/testing`, found through the `exports` of the real package.json. */
export async function makeLightProject(): Promise<TempDirectory> {
  const temp = makeTemp({ label: 'light' })
  const place = temp.join('node_modules/retake')
  mkdirSync(place, { recursive: true })
  const { name, version, type, exports } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name, version, type, exports }))
  await build({
    absWorkingDir: root,
    entryPoints: { client: 'src/client.ts', supabase: 'src/supabase.ts', testing: 'src/testing.ts' },
    outdir: join(place, 'dist/light'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    target: ['es2022', 'node20'],
    external: ['node:*'],
  })
  // Its service would outlive the test.
  await stop()
  return temp
}

/** The oldest Node of this machine that the light entries are for; the one that runs the tests when there is no older one. */
export function oldestNode(): string {
  const candidates = (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/bin', '/usr/local/bin')
    .map((part) => join(part, 'node'))
  const old = candidates.find((path) => {
    if (!existsSync(path)) return false
    const major = Number(/^v(\d+)/.exec(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1])
    return major >= 20 && major < 24
  })
  return old ?? process.execPath
}

/** Runs a script of the project, without blocking the servers that it talks to. */
export async function runScript(
  project: TempDirectory,
  { script, env = {} }: { readonly script: string; readonly env?: Readonly<Record<string, string>> },
): Promise<{ readonly stdout: string; readonly stderr: string; readonly status: number | null }> {
  const file = project.join('script.mjs')
  writeFileSync(file, script)
  const child = spawn(oldestNode(), [file], {
    cwd: project.path,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((done) => child.once('close', done)),
  ])
  return { stdout, stderr, status }
}
