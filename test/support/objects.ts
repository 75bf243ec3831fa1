/** The stored objects of a repository in a directory, and the ways in which storage damages them. */
import { globSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/demo/cinetrack/random.ts'

export const damageKinds = ['flip', 'truncate', 'swap', 'remove'] as const
export type DamageKind = (typeof damageKinds)[number]

export interface StoredObjects {
  readonly keys: readonly string[]
  /** Damages one object; call the result to put it back as it was. */
  damage(key: string, kind: DamageKind, random: Random): { readonly what: string; undo(): void }
}

/** Files that are being written are no objects yet; leases come and go by design. */
export function listStoredObjects(root: string): StoredObjects {
  const keys = globSync('**/*', { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((key) => !key.startsWith('.staging/') && !key.includes('/leases/'))
    .sort()
  return {
    keys,
    damage(key, kind, random) {
      const path = join(root, key)
      const original = readFileSync(path)
      const undo = () => writeFileSync(path, original)
      switch (kind) {
        case 'flip': {
          const bytes = Buffer.from(original)
          const at = random.between(0, bytes.length - 1)
          const bit = 1 << random.between(0, 7)
          bytes[at] = (bytes[at] ?? 0) ^ bit
          writeFileSync(path, bytes)
          return { what: `byte ${at} of ${bytes.length} xor ${bit}`, undo }
        }
        case 'truncate': {
          const length = random.between(0, original.length - 1)
          writeFileSync(path, original.subarray(0, length))
          return { what: `${length} of ${original.length} bytes`, undo }
        }
        case 'swap': {
          const other = random.pick(
            keys.filter((candidate) => candidate !== key && !readFileSync(join(root, candidate)).equals(original)),
          )
          writeFileSync(path, readFileSync(join(root, other)))
          return { what: `content of ${other}`, undo }
        }
        case 'remove': {
          renameSync(path, `${root}.removed`)
          return { what: 'removed', undo: () => renameSync(`${root}.removed`, path) }
        }
      }
    },
  }
}
