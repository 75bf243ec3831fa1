import type { ServerAccount } from './account.ts'

export interface LocalServerOptions {
  readonly binDir: string
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number | undefined
  /** Given as `-c name=value`, so they win over the files of the cluster and are seen by everybody on the machine: no secrets. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** Default: a private directory that is removed with the server. At most 90 bytes long. */
  readonly socketDir?: string | undefined
  /** Appended to. Default: a file in the private directory, removed when the server was stopped. */
  readonly logFile?: string | undefined
  /** `ready` (default) waits until the server accepts connections (or, with hot_standby off, is in recovery); `none` returns at once. */
  readonly waitFor?: 'ready' | 'none' | undefined
  /** How long to wait for `ready`; default 60,000. A recovery may need hours: use `none` and `LocalServer.waitReady`. */
  readonly readyTimeoutMs?: number | undefined
  /** Added to the small environment that the server gets (a `restore_command` may need some). */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** The role in `LocalServer.target`; default `postgres`. */
  readonly user?: string | undefined
  readonly account?: ServerAccount | undefined
  readonly signal?: AbortSignal | undefined
}
