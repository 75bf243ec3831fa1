/** Smaller buffers may lie in memory that Node shares among many. */
const LEAST_BYTES = 64 * 1024

/**
 * Gives the memory behind a large buffer back at once instead of at some later garbage collection. This is what bounds the
 * memory of a thread that makes a new buffer for every frame, and it is faster too, because the same pages are used again.
 * The bytes, and every other view of the same memory, must not be used any more. Does nothing when they are only a part of it.
 */
export function releaseMemory(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes
  // A result may be cut a little shorter than the memory that was made for it.
  const isWhole = bytes.byteOffset === 0 && byteLength > LEAST_BYTES && buffer.byteLength - byteLength <= byteLength / 8
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/**
 * The same for a result that may be far shorter than the memory that was made for it, as a compressor's is: whatever else looks
 * at that memory loses it too. What lies in Node's shared pool is left alone, as is memory that threads share.
 */
export function releaseBackingMemory(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
