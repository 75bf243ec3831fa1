import { checkHolder, missingHolders, readHolders } from '../keys/key-ring.ts'
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
  for (const key of await missingHolders(store, holders)) {
    findings.add({
      object: key,
      problem: 'it is missing, though its receipt exists; this key no longer opens the repository',
    })
  }
}
