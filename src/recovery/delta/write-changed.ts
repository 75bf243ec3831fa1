/** What is compared and written at once: a page of every common build. */
const PAGE_BYTES = 8192

/**
 * Writes the pages of `wanted` that differ from what is `present` (which may be shorter), neighbours together.
 * @returns how many bytes were written
 */
export function writeChanged(
  present: Uint8Array,
  wanted: Uint8Array,
  write: (piece: Uint8Array, offsetBytes: number) => void,
): number {
  const there = Buffer.from(present.buffer, present.byteOffset, present.byteLength)
  let writtenBytes = 0
  let begin = -1
  const close = (end: number) => {
    if (begin < 0) return
    write(wanted.subarray(begin, end), begin)
    writtenBytes += end - begin
    begin = -1
  }
  for (let at = 0; at < wanted.length; at += PAGE_BYTES) {
    const end = Math.min(at + PAGE_BYTES, wanted.length)
    const isEqual = end <= there.length && there.compare(wanted, at, end, at, end) === 0
    if (isEqual) close(at)
    else if (begin < 0) begin = at
  }
  close(wanted.length)
  return writtenBytes
}
