/**
 * `npm run check [-- NAME…]`: everything that must be clean besides the tests. Every check runs even when one before
 * it failed, so that one run shows all there is to mend.
 */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const bin = (name: string) => `${root}/node_modules/.bin/${name}`
const node = (script: string, ...args: string[]) => [process.execPath, `${root}/${script}`, ...args]

const checks: Readonly<Record<string, readonly string[]>> = {
  lint: [bin('biome'), 'check', '--error-on-warnings', '.'],
  types: [bin('tsc'), '--noEmit', '-p', root],
  unused: [bin('knip')],
  architecture: node('scripts/test.ts', 'test/architecture/'),
  package: node('scripts/package-check.ts'),
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in checks))
if (unknown.length > 0) {
  console.error(`No such check: ${unknown.join(', ')}. There are: ${Object.keys(checks).join(', ')}.`)
  process.exitCode = 2
} else {
  const failed: string[] = []
  for (const [name, [program, ...args]] of Object.entries(checks)) {
    if (program === undefined || (wanted.length > 0 && !wanted.includes(name))) continue
    const begunMs = performance.now()
    console.log(`--- ${name}`)
    const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', env: environment() })
    if (error) console.error(error.message)
    if (status !== 0) failed.push(name)
    console.log(
      `--- ${name}: ${status === 0 ? 'clean' : 'FAILED'} (${((performance.now() - begunMs) / 1000).toFixed(1)} s)`,
    )
  }
  if (failed.length > 0) console.error(`Not clean: ${failed.join(', ')}.`)
  process.exitCode = failed.length > 0 ? 1 : 0
}

/** The tools' own launchers ask for `node`; they get the one that runs this. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${resolve(process.execPath, '..')}:${process.env.PATH ?? ''}` }
}
