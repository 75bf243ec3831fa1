/** For the test of the pool: doubles numbers, refuses negative ones, and ends without an answer at 666. */
import { parentPort } from 'node:worker_threads'
import { assert, RetakeError } from '../errors.ts'
import { serveTasks } from '../thread-pool.ts'

assert(parentPort, 'this module runs in a worker thread')
const port = parentPort
serveTasks(port, {
  async run({ value }: { readonly value: number }) {
    if (value === 666) {
      port.close()
      return new Promise<number>(() => {})
    }
    if (value < 0) throw new RetakeError('storage.full', `no room for ${value}`)
    return value * 2
  },
  close: async () => {},
})
