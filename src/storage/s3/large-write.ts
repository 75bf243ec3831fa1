/** A large object on its way. Disposing it takes back what was not committed. */
export interface LargeWrite extends AsyncDisposable {
  /** Takes a full part over; resolves with a buffer for the next one, when there is room for it. */
  add(full: Buffer): Promise<Buffer>
  /** @param last the rest, not empty; taken over too. @returns false when the name was taken */
  commit(last: Buffer): Promise<boolean>
}
