/** Little-endian numbers out of bytes at any position, without a view for each look. Indexes are checked by the callers. */

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
}

export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0
}

export function u64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(u32(bytes, at + 4)) << 32n) | BigInt(u32(bytes, at))
}

export function i64(bytes: Uint8Array, at: number): bigint {
  return BigInt.asIntN(64, u64(bytes, at))
}

/** Records begin at multiples of 8 (MAXALIGN). */
export function align8(value: number): number {
  return (value + 7) & ~7
}
