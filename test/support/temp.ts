/** Temporary directories of the tests: reachable by the server's account when the tests run as root, gone when the process ends. */
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDirectory extends AsyncDisposable {
  readonly path: string
  /** A path inside; nothing is created. */
  join(...names: string[]): string
}

export interface TempOptions {
  /** Part of the directory's name, for people who look at a machine in the middle of a test. */
  readonly label?: string | undefined
  /** As root: who owns the directory. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

const alive = new Set<string>()
let hooked = false

/** A fresh directory below the system's temporary one; removed when disposed, and at the latest when the process exits. */
export function makeTemp(options: TempOptions = {}): TempDirectory {
  removeAtExit()
  const path = mkdtempSync(join(tmpdir(), `retake-${options.label ?? 'test'}-`))
  alive.add(path)
  // mkdtemp makes it private; a server that runs under another account has to pass through.
  chmodSync(path, 0o755)
  if (options.owner && process.getuid?.() === 0) chownSync(path, options.owner.uid, options.owner.gid)
  return {
    path,
    join: (...names) => join(path, ...names),
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      alive.delete(path)
    },
  }
}

function removeAtExit(): void {
  if (hooked) return
  hooked = true
  process.on('exit', () => {
    for (const path of alive) rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  })
  // Without a listener these end the process before `exit` is emitted, and servers and directories stay behind.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      // Who listens too (a soak run that wants to print its seed) decides itself when to exit.
      if (process.listenerCount(signal) === 1) process.exit(code)
    })
  }
}
