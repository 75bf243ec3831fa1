/** Which frames were seen already: a bit for each frame of each pack, so that ten million of them take little more than a megabyte. */
export class FrameSet {
  readonly #packs = new Map<string, Uint8Array>()

  /** True when this frame was not in the set yet. */
  add(packId: string, index: number): boolean {
    const byte = index >> 3
    const bit = 1 << (index & 7)
    let bits = this.#packs.get(packId) ?? new Uint8Array(16)
    if (byte >= bits.length) {
      const larger = new Uint8Array(Math.max(byte + 1, bits.length * 2))
      larger.set(bits)
      bits = larger
    }
    this.#packs.set(packId, bits)
    const isNew = ((bits[byte] ?? 0) & bit) === 0
    bits[byte] = (bits[byte] ?? 0) | bit
    return isNew
  }
}
