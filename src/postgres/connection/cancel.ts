/**
 * Asks a server to cancel what one of its processes is doing, over a connection of its own, as the protocol has it.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
import pg from 'pg'

/** The server closes the connection as soon as it has passed the request on. */
const TIMEOUT_MS = 5_000

/** What `pg` knows of a connection and does not declare. The key has four bytes, which is what protocol 3.0 has in every version. */
interface Messenger {
  readonly host: string
  readonly port: number
  readonly ssl: unknown
  readonly sslNegotiation?: string
  readonly processID: number | null
  readonly secretKey: number | null
}

type Wire = pg.Client['connection'] & {
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/**
 * Resolves when the server has taken the request, or could not be reached: who cancels has given up already, so a failure changes nothing.
 * @param config with which `client` was opened: the request takes the same way, also in TLS
 */
export async function requestCancel(client: pg.Client, config: pg.ClientConfig): Promise<void> {
  const { processID, secretKey } = client as unknown as Messenger
  if (processID === null || secretKey === null) return
  const messenger = new pg.Client(config)
  const { host, port, ssl, sslNegotiation } = messenger as unknown as Messenger
  const wire = messenger.connection as Wire
  const { promise, resolve } = Promise.withResolvers<void>()
  const send = () => wire.cancel(processID, secretKey)
  wire.on('error', () => resolve())
  wire.on('end', () => resolve())
  wire.on('sslconnect', send)
  wire.on('connect', () => {
    if (!ssl) send()
    else if (sslNegotiation !== 'direct') wire.requestSsl()
  })
  const timer = setTimeout(resolve, TIMEOUT_MS)
  try {
    if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`)
    else wire.connect(port, host)
    await promise
  } finally {
    clearTimeout(timer)
    wire.stream.destroy()
  }
}
