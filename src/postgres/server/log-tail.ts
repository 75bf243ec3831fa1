import { open } from 'node:fs/promises'
import { systemErrorCode } from '../../base/errors.ts'

const TAIL_BYTES = 64 * 1024

/** The last lines of a server's log, at most 64 KiB of it; empty when there is no such file. */
export async function readServerLogTail(file: string, lines = 20): Promise<string[]> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, 'r')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
  try {
    const { size } = await handle.stat()
    const lengthBytes = Math.min(size, TAIL_BYTES)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, size - lengthBytes)
    const text = buffer.subarray(0, bytesRead).toString('utf8')
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-lines)
  } finally {
    await handle.close()
  }
}
