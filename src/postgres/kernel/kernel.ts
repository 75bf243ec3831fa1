/** The hot loops in WebAssembly with SIMD. What they compute is said, and tested against, in `../page.ts` and `../crc32c.ts`. */
import { kernelBase64 } from './kernel-bytes.ts'

/** Addresses are places in the memory that the kernel was opened on. */
export interface Kernel {
  /** Index of the first page from `page` on with a wrong checksum that is not all zeros; `count` when there is none. */
  firstBadPage(at: number, page: number, count: number, pageBytes: number, firstBlock: number): number
  /** Writes 16 KiB of tables for {@link crc32c} to `tables`. */
  crcTables(tables: number): void
  /** As a signed number. */
  crc32c(tables: number, at: number, length: number, previous: number): number
  /** Of a log record of that length, whose header ends with its checksum; as a signed number. */
  recordCrc32c(tables: number, at: number, length: number, headerBytes: number): number
}

/** A memory that threads share and a kernel can see; it can be sent to a thread. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer
}

/** What is used of WebAssembly, which belongs to no library of types that a program without a browser has. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
  readonly Memory: new (limits: {
    readonly initial: number
    readonly maximum: number
    readonly shared: true
  }) => SharedMemory
  readonly CompileError: new () => Error
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }

/** The code is compiled once in each thread, when it is first wanted. */
let compiled: { readonly module: object | undefined } | undefined

/** The kernel on a memory; undefined on a processor without the vector instructions, where JavaScript does the work. */
export function openKernel(memory: SharedMemory): Kernel | undefined {
  compiled ??= { module: compile() }
  if (compiled.module === undefined) return undefined
  return new WebAssembly.Instance(compiled.module, { env: { memory } }).exports as Kernel
}

function compile(): object | undefined {
  try {
    return new WebAssembly.Module(Buffer.from(kernelBase64, 'base64'))
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return undefined
    throw error
  }
}

const WASM_PAGE_BYTES = 64 * 1024

/** Rounded up to what WebAssembly counts in. */
export function sharedMemory(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}
