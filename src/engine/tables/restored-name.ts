/** What a table is called that is put beside the one it was. */

/** https://www.postgresql.org/docs/current/limits.html */
const MAX_NAME_BYTES = 63

/**
 * `reviews_restored_20261122t0904`: small letters, so that `reviews_restored_20261122T0904`, as one would type it, is the same name in SQL.
 * The nth with the same name gets its number at the end.
 */
export function restoredName(table: string, at: Date, nth = 1): string {
  const minute = at.toISOString().slice(0, 16).replaceAll(/[-:]/g, '').toLowerCase()
  const ending = `_restored_${minute}${nth === 1 ? '' : `_${nth}`}`
  return `${cut(table, MAX_NAME_BYTES - Buffer.byteLength(ending))}${ending}`
}

/** At most so many bytes, and no half of a character. */
function cut(text: string, maxBytes: number): string {
  let kept = ''
  for (const character of text) {
    if (Buffer.byteLength(kept + character) > maxBytes) break
    kept += character
  }
  return kept
}
