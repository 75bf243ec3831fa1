import { readRemoval } from '../keys/holder-removal.ts'
import {
  checkHolder,
  checkReceipt,
  holderKey,
  missingHolders,
  readHolders,
  type StoredHolder,
} from '../keys/key-ring.ts'
import { readKitProofs } from '../keys/kit-proof.ts'
import { REPOSITORY_KEY } from '../layout.ts'
import { assertAuthentic, readRepositoryFile } from '../repository.ts'
import type { VerifyContext } from './context.ts'

/** `retake.json`, every key holder, every receipt. */
export async function checkKeys(context: VerifyContext): Promise<void> {
  const { repository, findings } = context
  const { store } = repository
  await findings.attempt({ object: REPOSITORY_KEY }, async () => {
    assertAuthentic(await readRepositoryFile(store), repository.repositoryKey)
  })
  const holders = await readHolders(store)
  context.progress({ phase: 'keys', done: 0, total: holders.length, unit: 'objects' })
  for (const stored of holders) {
    const facts = { object: stored.key, severity: 'warning' as const }
    const problem = await findings.attempt(facts, () => checkHolder(repository, stored))
    if (problem) findings.add(problem)
  }
  await checkRemovals(context, holders)
  await readKitProofs(repository, {
    onDamage: (error, object) =>
      findings.add({
        object,
        severity: 'warning',
        problem: error.message.replace(/^\S+ is damaged: /, '').replace(/\.$/, ''),
      }),
  })
  for (const key of await missingHolders(store, holders)) {
    findings.add({
      object: key,
      problem: 'it is missing, though its receipt exists; this key no longer opens the repository',
    })
  }
}

/** Who was removed stays removed: its file must not be there again. */
async function checkRemovals(context: VerifyContext, holders: readonly StoredHolder[]): Promise<void> {
  const { repository, findings } = context
  for await (const { key } of repository.store.list('keys/')) {
    if (!key.endsWith('.removed')) continue
    const facts = { object: key, severity: 'warning' as const }
    const removal = await findings.attempt(facts, () => readRemoval(repository, key))
    if (removal === undefined) continue
    const problem = await findings.attempt(facts, () => checkReceipt(repository, removal))
    if (problem) findings.add(problem)
    const file = holders.find((stored) => stored.key === holderKey(removal.holder))
    if (!file) continue
    findings.add({
      object: file.key,
      severity: 'warning',
      problem: `it was removed at ${removal.removedAt} by ${removal.by}, and is still or again there: its key opens the repository. Remove it again: retake keys remove ${removal.holder}`,
    })
  }
}
