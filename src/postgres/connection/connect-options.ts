/** How a connection is made; apart from the driver, whose types nobody needs who only asks for one. */
export interface ConnectOptions {
  /** Ends the attempt; and, once connected, nothing more. */
  readonly signal?: AbortSignal | undefined
  /** How the server shows this connection. Default: the target's, else `retake`. */
  readonly applicationName?: string | undefined
  /** For each host. Default: the target's connect_timeout, else 30 s. */
  readonly connectTimeoutMs?: number | undefined
  /** Opens a walsender: `true` for physical, `database` for one that is tied to a database. */
  readonly replication?: 'true' | 'database' | undefined
}
