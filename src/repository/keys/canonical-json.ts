/**
 * JSON that can be written in one way only. Reading compares with what would be written, so that no byte of the file can
 * change without notice, white space included.
 */
export function encodeCanonical(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
}

/** The value, or undefined when the bytes are not what {@link encodeCanonical} would write for it. */
export function decodeCanonical(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    return Buffer.from(encodeCanonical(value)).equals(bytes) ? value : undefined
  } catch {
    return undefined
  }
}
