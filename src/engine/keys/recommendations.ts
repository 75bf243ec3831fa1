/** What should be done about keys, as sentences with the command. Pure. */
import type { ClusterKeysView, HolderView } from './keys-view.ts'

/** A kit that nobody tried for so long may no longer be where it should be. */
export const PROOF_MAX_AGE_DAYS = 180
const DAY_MS = 86_400_000

export interface KeyFacts {
  readonly holders: readonly HolderView[]
  readonly clusters: readonly ClusterKeysView[]
  readonly now: Date
}

/** The most important first. */
export function recommend(facts: KeyFacts): string[] {
  return [...aboutHolders(facts), ...aboutKits(facts), ...facts.clusters.flatMap(aboutCluster)]
}

function aboutHolders({ holders }: KeyFacts): string[] {
  const sentences: string[] = []
  for (const { state, holder, label } of holders) {
    if (state === 'missing')
      sentences.push(`The file of the key ${holder} is missing, and it was never removed: retake verify`)
    if (state === 'damaged')
      sentences.push(
        `The file of the key ${holder} is damaged. Replace it: retake keys add, then retake keys remove ${holder}`,
      )
    if (state === 'removing')
      sentences.push(
        `The removal of "${label}" was cut short, and its key still opens the repository: retake keys remove ${holder}`,
      )
  }
  const good = holders.filter(({ state }) => state === 'good')
  if (good.length === 1)
    sentences.push('There is one key: with it lost, every backup is lost. Make a kit to print: retake keys kit kit.txt')
  for (const { due, dueAt, label, holder } of good) {
    if (due)
      sentences.push(
        `The key "${label}" is due to be replaced since ${dueAt}: retake keys rotate --master --new-key FILE --replaces ${holder}`,
      )
  }
  return sentences
}

function aboutKits({ holders, now }: KeyFacts): string[] {
  const kits = holders.filter(({ kind, state }) => kind === 'recovery-kit' && state === 'good')
  if (kits.length === 0)
    return holders.length > 1 ? ['There is no recovery kit. Make one to print: retake keys kit kit.txt'] : []
  const newest = kits
    .flatMap(({ proof }) => (proof ? [proof.provenAt] : []))
    .sort()
    .at(-1)
  if (newest === undefined) return ['No recovery kit was ever tried: retake keys escrow-test']
  const days = (now.getTime() - Date.parse(newest)) / DAY_MS
  return days > PROOF_MAX_AGE_DAYS
    ? [`The last recovery kit that was tried was tried ${Math.floor(days)} days ago: retake keys escrow-test`]
    : []
}

function aboutCluster(view: ClusterKeysView): string[] {
  const { cluster, due, dueAt, shredded, damaged, error } = view
  const sentences: string[] = []
  if (damaged.length > 0 || error) sentences.push(`Something of "${cluster}" cannot be read: retake verify`)
  if (shredded && shredded.doneAt === undefined)
    sentences.push(`The shredding of "${cluster}" was cut short: retake keys shred ${cluster} --yes ${cluster}`)
  if (due)
    sentences.push(
      `The data key of "${cluster}" is due to be replaced since ${dueAt}: retake keys rotate --data --cluster ${cluster}`,
    )
  return [...sentences, ...aboutOlderKeys(view)]
}

/** One step at a time: what comes first is what the next step waits for. */
function aboutOlderKeys({ cluster, epochs, older, damaged }: ClusterKeysView): string[] {
  const then = `then retake keys retire --cluster ${cluster}`
  if (older === undefined) {
    return epochs.length > 1 && damaged.length === 0
      ? [`Older keys of "${cluster}" seal nothing any more. Destroy them: retake keys retire --cluster ${cluster}`]
      : []
  }
  if (older.toSealAnew > 0) {
    return [
      `Older keys of "${cluster}" still seal objects. Seal them anew: retake keys re-encrypt --cluster ${cluster}, then retake prune --cluster ${cluster}`,
    ]
  }
  if (older.walEnd > 0) {
    return [
      `An older key of "${cluster}" still seals the end of the WAL. Stop the receiver if one is running, run retake keys re-encrypt --cluster ${cluster}, and start it again`,
    ]
  }
  if (older.toPrune > 0) {
    // Whatever cannot be read may still need it.
    if (damaged.length > 0) return []
    return [
      `What older keys of "${cluster}" still seal is not needed any more. Delete it: retake prune --cluster ${cluster}, which says when the time of grace is over; ${then}`,
    ]
  }
  return [
    `Older keys of "${cluster}" seal nothing but the leases of what runs since before the newest key. Start that again, ${then}`,
  ]
}
