/**
 * What of a region (up to 1 MiB of a file) an incremental backup stores. Only changed pages would be cheapest now, but then the
 * pages of a region end up in ever more frames, and each restore pays. So pages of thin frames are gathered into the new one, and
 * a region of which much was replaced is written whole: a restore from the hundredth increment reads hardly more than from a full backup.
 */

/** Frames that the pages of a region may lie in, the new one included. */
export const MAX_REGION_FRAMES = 8
/** When there would be more, the thinnest are gathered until so many are left, so that it is not done each time. */
const GATHERED_FRAMES = 4
/** The share of pages that may lie outside the frame which holds most of them. */
const MAX_PATCHED_SHARE = 1 / 2
/** Pieces that a region may be in; each is a write of a restore and a line's worth of manifest. */
export const MAX_REGION_RUNS = 64

export interface RegionPages {
  /** See `KnownPages.sources`. */
  readonly sources: Uint8Array
  readonly changed: Uint8Array
  readonly zero: Uint8Array
}

/** `refer`: store nothing. `whole`: store all pages as one piece. Otherwise a 1 for each page to store. */
export type RegionPlan = 'refer' | 'whole' | Uint8Array

export function planRegion(pages: RegionPages): RegionPlan {
  const { sources, changed, zero } = pages
  const count = changed.length
  const store = new Uint8Array(count)
  const kept = new Map<number, number>()
  let stored = 0
  let zeros = 0
  for (let page = 0; page < count; page++) {
    const source = sources[page] ?? 0
    if (zero[page]) zeros += 1
    else if (changed[page]) {
      store[page] = 1
      stored += 1
    } else kept.set(source, (kept.get(source) ?? 0) + 1)
  }
  const thinnestFirst = [...kept].sort(([, left], [, right]) => left - right)
  const largest = thinnestFirst.at(-1)?.[1] ?? 0
  const patched = count - zeros - largest
  if (stored > 0 && kept.size === 0 && zeros === 0) return 'whole'
  if (stored > 0 && patched > Math.max(1, count * MAX_PATCHED_SHARE)) return 'whole'
  let frames = kept.size + (stored > 0 ? 1 : 0)
  if (frames > MAX_REGION_FRAMES) {
    const gathered = new Set<number>()
    frames = kept.size + 1
    for (const [source] of thinnestFirst) {
      if (frames <= GATHERED_FRAMES) break
      gathered.add(source)
      frames -= 1
    }
    for (let page = 0; page < count; page++) {
      if (changed[page] || zero[page] || !gathered.has(sources[page] ?? 0)) continue
      store[page] = 1
      stored += 1
    }
  }
  if (countRuns(pages, store) > MAX_REGION_RUNS) return 'whole'
  return stored === 0 && zeros === 0 ? 'refer' : store
}

/** The pieces of the region when these pages are stored together; at least as many as the manifest will have. */
function countRuns({ sources, zero }: RegionPages, store: Uint8Array): number {
  let runs = 0
  let last = -2
  for (let page = 0; page < store.length; page++) {
    const now = zero[page] ? -1 : store[page] ? 256 : (sources[page] ?? 0)
    if (now !== last) runs += 1
    last = now
  }
  return runs
}
