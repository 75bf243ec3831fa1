/**
 * Gives the memory of a large buffer back at once. The collector sees only the small object in front of it, and lets tens of
 * megabytes of used-up buffers pile up in every thread before it looks. The buffer is empty afterwards.
 * For buffers of one's own: what lies in Node's shared pool is left alone, as is memory that threads share.
 */
export function releaseBuffer(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
