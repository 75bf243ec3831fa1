/** A server that writes WAL for as long as it is asked to. */
import { sleep } from '../../src/base/abort.ts'
import type { TestServer } from './postgres.ts'

/** @param options `pauseMs`: between statements; default 0 */
export function startLoad(server: TestServer, { pauseMs = 0 }: { readonly pauseMs?: number } = {}): AsyncDisposable {
  let running = true
  const work = (async () => {
    await server.query('create table if not exists load (body text)')
    while (running) {
      if (pauseMs > 0) await sleep(pauseMs)
      await server.query('insert into load select repeat(md5(g::text), 10) from generate_series(1, 200) g')
    }
  })()
  return {
    async [Symbol.asyncDispose]() {
      running = false
      await work
    },
  }
}
