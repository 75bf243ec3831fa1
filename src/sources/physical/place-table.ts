/** From the digest of a key to a place in a spool: open addressing in flat arrays, 20 bytes an entry at most. */
import { assert } from '../../base/errors.ts'

const FIRST_SLOTS = 1024
/** Full to this share at most. */
const MAX_LOAD = 0.7

export class PlaceTable {
  #digests = new Uint32Array(FIRST_SLOTS)
  /** Place plus one; 0 is an empty slot. */
  #places = new Float64Array(FIRST_SLOTS)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Adds a place for the digest; several may have the same. */
  add(digest: number, place: number): void {
    assert(place >= 0, 'a place is not negative')
    if (this.#count + 1 > this.#places.length * MAX_LOAD) this.#grow()
    this.#put(digest >>> 0, place + 1)
    this.#count += 1
  }

  /** All places that were added for the digest, the oldest first; the caller compares the keys that lie there. */
  *find(digest: number): Generator<number> {
    const mask = this.#places.length - 1
    for (let slot = (digest >>> 0) & mask; ; slot = (slot + 1) & mask) {
      const place = this.#places[slot] ?? 0
      if (place === 0) return
      if (this.#digests[slot] === digest >>> 0) yield place - 1
    }
  }

  #put(digest: number, placePlusOne: number): void {
    const mask = this.#places.length - 1
    let slot = digest & mask
    while (this.#places[slot] !== 0) slot = (slot + 1) & mask
    this.#digests[slot] = digest
    this.#places[slot] = placePlusOne
  }

  #grow(): void {
    const digests = this.#digests
    const places = this.#places
    this.#digests = new Uint32Array(digests.length * 2)
    this.#places = new Float64Array(places.length * 2)
    // From behind an empty slot on, so that equal digests keep their order also where a chain crosses the end.
    const empty = places.indexOf(0)
    for (let step = 0; step < places.length; step++) {
      const slot = (empty + step) & (places.length - 1)
      if (places[slot] !== 0) this.#put(digests[slot] ?? 0, places[slot] ?? 0)
    }
  }
}
