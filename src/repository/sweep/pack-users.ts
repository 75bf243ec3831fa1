/**
 * Which backups refer to which pack, for a hundred thousand packs and ten thousand backups. Backups are added one after the
 * other, so the packs that were written together nearly always have the same users: each distinct set is kept once, as a chain
 * of (set before, backup added), and a pack holds the number of its set.
 */
export class PackUsers {
  readonly #sets: { readonly before: number; readonly user: number }[] = []
  readonly #longer = new Map<string, number>()
  readonly #packs = new Map<string, number>()
  readonly #users: string[] = []

  /** Begins the next user; what {@link add} names is used by it. */
  beginUser(name: string): void {
    this.#users.push(name)
  }

  /** Once per user and pack; again is fine. */
  add(packId: string): void {
    const before = this.#packs.get(packId) ?? -1
    const user = this.#users.length - 1
    if (before >= 0 && this.#sets[before]?.user === user) return
    const key = `${before}+${user}`
    let set = this.#longer.get(key)
    if (set === undefined) {
      set = this.#sets.push({ before, user }) - 1
      this.#longer.set(key, set)
    }
    this.#packs.set(packId, set)
  }

  has(packId: string): boolean {
    return this.#packs.has(packId)
  }

  packIds(): Iterable<string> {
    return this.#packs.keys()
  }

  /** The names of the users of a pack. */
  usersOf(packId: string): string[] {
    return this.#namesOf(this.#packs.get(packId) ?? -1)
  }

  /** The packs all of whose users are among `dropped`, at least one. */
  usedOnlyBy(dropped: ReadonlySet<string>): string[] {
    // A set comes after the set that it continues.
    const only: boolean[] = []
    for (const { before, user } of this.#sets) {
      only.push((before < 0 || only[before] === true) && dropped.has(this.#users[user] ?? ''))
    }
    return [...this.#packs].flatMap(([packId, set]) => (only[set] === true ? [packId] : []))
  }

  /** Bytes by set of users. */
  shares(sizeOf: (packId: string) => number): { readonly bytes: number; readonly users: readonly string[] }[] {
    const bytes = new Map<number, number>()
    for (const [packId, set] of this.#packs) bytes.set(set, (bytes.get(set) ?? 0) + sizeOf(packId))
    return [...bytes].map(([set, sum]) => ({ bytes: sum, users: this.#namesOf(set) }))
  }

  #namesOf(last: number): string[] {
    const names: string[] = []
    for (let set = this.#sets[last]; set; set = this.#sets[set.before]) names.push(this.#users[set.user] ?? '')
    return names.reverse()
  }
}
