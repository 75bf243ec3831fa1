/** `npm run build`: compiles `src` into `dist` (with types), and writes the schema of the configuration file beside it. */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { renderConfigSchema } from '../src/engine/config-schema.ts'

const root = resolve(import.meta.dirname, '..')

rmSync(`${root}/dist`, { recursive: true, force: true })
const compiler = spawnSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (compiler.status === 0) {
  writeFileSync(`${root}/dist/config.schema.json`, renderConfigSchema())
  console.log('Compiled into dist.')
}
process.exitCode = compiler.status ?? 1
