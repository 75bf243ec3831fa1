/** Many short transactions over a few connections, for programs that keep their own data in a server. */
import pg from 'pg'
import type { ConnectionSettings, ConnectionTarget, HostTarget } from './config.ts'
import { connect } from './connect.ts'

export interface PoolOptions {
  /** The most connections at a time. */
  readonly max: number
  readonly applicationName: string
  readonly signal?: AbortSignal | undefined
}

/**
 * A pool into the first host of a target that answers, in the first way that it accepts: what `connect` would find. The pool stays with that host.
 * @throws RetakeError as {@link connect}
 */
export async function openPool(target: ConnectionTarget, options: PoolOptions): Promise<pg.Pool> {
  const { applicationName, max, signal } = options
  const { host, way } = await findWay(target, { applicationName, signal })
  const database = way.database ?? 'postgres'
  const password = host.passwordFor?.(database) ?? way.password
  const pool = new pg.Pool({
    ...way,
    database,
    max,
    keepAlive: true,
    application_name: applicationName,
    ...(password === undefined ? {} : { password }),
  })
  // A connection that breaks while nobody uses it is replaced by the next one; without a listener Node would end the process.
  pool.on('error', () => {})
  return pool
}

interface Found {
  readonly host: HostTarget
  readonly way: ConnectionSettings
}

async function findWay(
  target: ConnectionTarget,
  options: { readonly applicationName: string; readonly signal: AbortSignal | undefined },
): Promise<Found> {
  const hosts = target.hosts ?? [{ label: target.display, ways: [target.config] }]
  let failure: unknown
  for (const host of hosts) {
    for (const way of host.ways) {
      try {
        const { client } = await connect({ ...target, config: way, hosts: [{ ...host, ways: [way] }] }, options)
        await client.end()
        return { host, way }
      } catch (error) {
        failure ??= error
      }
    }
  }
  throw failure
}
