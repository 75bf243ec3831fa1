/** CRC-32C over many stretches of the same bytes: they are copied once to where the kernel sees them. */
import { crc32cRange } from '../crc32c.ts'
import { type Kernel, openKernel, type SharedMemory, sharedMemory } from './kernel.ts'

const TABLE_BYTES = 16 * 1024

/** Larger pieces are loaded one after the other. */
export const WINDOW_BYTES = 1024 * 1024

export interface CrcWindow {
  /** From now on ranges are of these bytes, at most {@link WINDOW_BYTES}, which must not change meanwhile. */
  load(bytes: Uint8Array): void
  /** As `crc32cRange`, of what was loaded last. */
  crc32c(range: { readonly begin: number; readonly end: number; readonly previous: number }): number
  /** The checksum that the log record in this range must carry at the end of its header. */
  recordCrc32c(begin: number, end: number): number
}

/** Of a log record; the last four are the checksum. */
const RECORD_HEADER_BYTES = 24

class KernelWindow implements CrcWindow {
  readonly #kernel: Kernel
  readonly #view: Uint8Array

  constructor(kernel: Kernel, memory: SharedMemory) {
    this.#kernel = kernel
    this.#view = new Uint8Array(memory.buffer, TABLE_BYTES)
    kernel.crcTables(0)
  }

  load(bytes: Uint8Array): void {
    this.#view.set(bytes)
  }

  crc32c({ begin, end, previous }: { begin: number; end: number; previous: number }): number {
    return this.#kernel.crc32c(0, TABLE_BYTES + begin, end - begin, previous) >>> 0
  }

  recordCrc32c(begin: number, end: number): number {
    return this.#kernel.recordCrc32c(0, TABLE_BYTES + begin, end - begin, RECORD_HEADER_BYTES) >>> 0
  }
}

/** Where there is no kernel: the same in JavaScript. */
export class PlainWindow implements CrcWindow {
  #bytes: Uint8Array = new Uint8Array(0)

  load(bytes: Uint8Array): void {
    this.#bytes = bytes
  }

  crc32c(range: { readonly begin: number; readonly end: number; readonly previous: number }): number {
    return crc32cRange(this.#bytes, range)
  }

  recordCrc32c(begin: number, end: number): number {
    const body = this.crc32c({ begin: begin + RECORD_HEADER_BYTES, end, previous: 0 })
    return this.crc32c({ begin, end: begin + RECORD_HEADER_BYTES - 4, previous: body })
  }
}

let window: CrcWindow | undefined

/** The one window of this thread: whoever loads it must be done with it before anybody else runs. */
export function crcWindow(): CrcWindow {
  window ??= createCrcWindow()
  return window
}

export function createCrcWindow(): CrcWindow {
  const memory = sharedMemory(TABLE_BYTES + WINDOW_BYTES)
  const kernel = openKernel(memory)
  return kernel ? new KernelWindow(kernel, memory) : new PlainWindow()
}
