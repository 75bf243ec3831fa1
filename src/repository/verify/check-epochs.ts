/** The data keys of a cluster: none is missing but those that were retired, and of a shredded cluster all are gone. */
import { epochKey, epochPrefix, epochRecordKey, parseEpochKey, shredKey } from '../layout.ts'
import { readRetiredEpochs } from '../retire-epoch.ts'
import { readShreddedPacks, readShredProof, type ShredProof } from '../shred.ts'
import type { VerifyContext } from './context.ts'

/** That every key that is there opens was seen when the cluster was opened. */
export async function checkEpochs(context: VerifyContext, cluster: string): Promise<void> {
  const { repository, findings } = context
  const facts = { object: epochPrefix(cluster), cluster, severity: 'warning' as const }
  const records = await findings.attempt(facts, () => readRetiredEpochs(repository, cluster))
  const held = new Set<number>()
  // What is retired was replaced by a newer key, also when no object names that one yet.
  let last = 0
  const named = new Set<number>()
  for await (const { key } of repository.store.list(epochPrefix(cluster))) {
    const parsed = parseEpochKey(cluster, key)
    if (parsed === undefined) continue
    // An announcement does not explain that a key is gone.
    if (parsed.what !== 'retiring') named.add(parsed.epoch)
    if (parsed.what === 'key') held.add(parsed.epoch)
    last = Math.max(last, parsed.what === 'key' ? parsed.epoch : parsed.epoch + 1)
  }
  for (let epoch = 1; epoch <= last; epoch++) {
    if (!named.has(epoch))
      findings.add({ object: epochKey(cluster, epoch), cluster, problem: 'it is missing, and was never retired' })
  }
  for (const { epoch, retiredAt } of records?.retired ?? []) {
    if (!held.has(epoch)) continue
    const problem = `it was retired at ${retiredAt}, and is still or again there. Destroy it again: retake keys retire`
    findings.add({ object: epochKey(cluster, epoch), cluster, severity: 'warning', problem })
  }
  for (const epoch of records?.retiring.keys() ?? []) {
    if (held.has(epoch)) continue
    const object = epochRecordKey(cluster, epoch, 'retiring')
    findings.add({ object, cluster, severity: 'notice', problem: 'it announces the end of a key that is gone' })
  }
}

/** Undefined when the cluster was not shredded. Its packs are added to those whose use is known. */
export async function checkShredded(
  context: VerifyContext,
  cluster: string,
  knownPacks: Set<string>,
): Promise<ShredProof | undefined> {
  const { repository, findings } = context
  const object = shredKey(cluster, 'begun')
  if ((await repository.store.head(object)) === undefined) return undefined
  const proof = await findings.attempt({ object, cluster }, async () => {
    const found = await readShredProof(repository, cluster)
    for (const packId of await readShreddedPacks(repository, cluster)) knownPacks.add(packId)
    return found
  })
  if (proof === undefined) return undefined
  for await (const { key } of repository.store.list(epochPrefix(cluster))) {
    const problem = `a key of this cluster, which was shredded at ${proof.begunAt}, is still or again there. Destroy it again: retake keys shred ${cluster} --yes ${cluster}`
    findings.add({ object: key, cluster, problem })
  }
  if (proof.doneAt === undefined) {
    const problem = `the shredding that begun at ${proof.begunAt} was cut short. Finish it: retake keys shred ${cluster} --yes ${cluster}`
    findings.add({ object: shredKey(cluster, 'done'), cluster, severity: 'warning', problem })
  }
  const what = `${proof.objects} objects and ${proof.packs} packs of it can be read by nobody`
  findings.add({
    object,
    cluster,
    severity: 'notice',
    problem: `the cluster was shredded at ${proof.begunAt} by ${proof.by}; ${what}`,
  })
  return proof
}
