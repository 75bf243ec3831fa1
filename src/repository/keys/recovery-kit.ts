import { assert } from '../../base/errors.ts'
import type { KeyMaterial } from './key-material.ts'
import { keyGroups } from './key-text.ts'

export interface RecoveryKitFacts {
  readonly repositoryId: string
  /** Where the repository lives. */
  readonly url: string
  /** Its other places, each of which restores everything by itself. */
  readonly alsoAt?: readonly string[] | undefined
  readonly createdAt: Date
  /** The kit's own key; it must have been added to the repository as a holder of the kind `recovery-kit`. */
  readonly key: KeyMaterial
  /** Names of the clusters, for the commands. */
  readonly clusters?: readonly string[] | undefined
}

/** A page to print: everything that somebody needs to restore on a new machine, and nothing else is needed. Secret. */
export function renderRecoveryKit(facts: RecoveryKitFacts): string {
  assert(facts.key.kind === 'key', 'a recovery kit holds a key, not a passphrase')
  const groups = keyGroups(facts.key.bytes)
  const clusters = facts.clusters ?? []
  const cluster = clusters[0] ?? 'main'
  const rule = '='.repeat(72)
  return `${rule}
  RETAKE RECOVERY KIT                      Whoever holds this page can read
                                           every backup. Keep it offline.
${rule}

  Repository     ${facts.repositoryId}
  Where          ${[facts.url, ...(facts.alsoAt ?? []).map((url) => `or: ${url}`)].join('\n                 ')}
  Clusters       ${clusters.join(', ') || '(none yet)'}
  Kit made at    ${facts.createdAt.toISOString()}

  The key (the last character of each group checks the group; there is
  no letter O, I, L or U in it; capitals do not matter):

  RETAKE-KEY-1:
      ${groups.slice(0, 4).join('-')}-
      ${groups.slice(4).join('-')}

${rule}
  TO RESTORE ON A NEW MACHINE

  1  Install Node.js 24 or newer, and PostgreSQL of the same major version
     as the lost server. Then:

       npm install --global retake

  2  Make the repository reachable at the place above. If it lies elsewhere
     now, use that place instead:

       export RETAKE_REPO='${facts.url}'
       export RETAKE_CLUSTER='${cluster}'

  3  Give the key. Type this page's key into a file, or save this whole text
     as a file (the key is found in it):

       export RETAKE_KEY_FILE=/path/to/recovery-kit.txt

  4  See what can be restored:

       retake backups
       retake window

  5  Restore the newest moment into a new directory, and start it:

       retake restore apply --at latest --to /path/to/new-data --port 5433

     Another moment: --at 2026-11-22T09:04:11Z (with Z or an offset).

  To check that this kit works, run steps 2 and 3, then:  retake backups
${rule}
`
}
