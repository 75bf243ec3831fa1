import { createMemoryStore } from './memory-store.ts'
import { testObjectStoreContract } from './testing/object-store-contract.ts'

testObjectStoreContract('the memory store', async () => {
  const store = createMemoryStore()
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
})
