import { checkHolder, readHolders } from '../keys/key-ring.ts'
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
    const problem = await findings.attempt({ object: stored.key }, () => checkHolder(repository, stored))
    if (problem !== undefined)
      findings.add({ object: stored.key, problem: `${problem}; this key may no longer open the repository` })
  }
  const present = new Set(holders.map(({ key }) => key))
  for await (const { key } of store.list('keys/')) {
    const file = key.replace(/\.receipt$/, '.json')
    if (key === file || present.has(file)) continue
    findings.add({
      object: file,
      problem: 'it is missing, though its receipt exists; this key no longer opens the repository',
    })
  }
}
