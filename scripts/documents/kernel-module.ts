/** From AssemblyScript to a module of ours that holds the WebAssembly. The pinned compiler makes the same bytes of the same source. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import asc from 'assemblyscript/asc'

const SOURCE = resolve(import.meta.dirname, '../../src/postgres/kernel/kernel.as')
const ENTRY = 'kernel.ts'
const OUTPUT = 'kernel.wasm'

/** No runtime and no memory of its own: the memory is shared and imported, of any size, and nothing is placed in it. */
const OPTIONS = [
  ...['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd,threads', '--uncheckedBehavior', 'always'],
  ...['--importMemory', '--noExportMemory', '--sharedMemory', '--initialMemory', '0', '--maximumMemory', '65536'],
]

/** @throws Error with the compiler's messages */
async function compileKernel(source: string): Promise<Uint8Array> {
  let output: Uint8Array | undefined
  const { error, stderr } = await asc.main([ENTRY, '--outFile', OUTPUT, ...OPTIONS], {
    readFile: (name) => (name === ENTRY ? source : null),
    writeFile: (name, contents) => {
      if (name === OUTPUT && typeof contents !== 'string') output = contents
    },
    listFiles: () => [],
  })
  if (error || !output) throw new Error(`the kernel does not compile: ${error?.message}\n${stderr.toString()}`)
  return output
}

const LINE = 110

export async function renderKernelModule(): Promise<string> {
  const text = Buffer.from(await compileKernel(readFileSync(SOURCE, 'utf8'))).toString('base64')
  const lines = Array.from({ length: Math.ceil(text.length / LINE) }, (_, index) =>
    text.slice(index * LINE, (index + 1) * LINE),
  )
  return [
    '/** WebAssembly, made from `kernel.as` by `npm run docs`; a test compares them. */',
    'export const kernelBase64 = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('')",
    '',
  ].join('\n')
}
