/**
 * Which connection options there are, and where each comes from: connection string, then service file, then environment.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS, …/libpq-envars.html, …/libpq-pgservice.html
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import type { ConnectionOptions } from './conninfo.ts'

/** Options that have an effect here, with their environment variable. */
const effective: Readonly<Record<string, string | undefined>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  service: 'PGSERVICE',
  servicefile: 'PGSERVICEFILE',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  fallback_application_name: undefined,
  sslmode: 'PGSSLMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslpassword: undefined,
  sslcrl: 'PGSSLCRL',
  sslcertmode: 'PGSSLCERTMODE',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  gssencmode: 'PGGSSENCMODE',
}

/** libpq's options that change nothing for us: how the socket is tuned, how text is shown, what we decide ourselves. */
const withoutEffect = new Set([
  ...['client_encoding', 'replication', 'load_balance_hosts', 'sslcompression', 'sslsni', 'sslkeylogfile'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
  ...['krbsrvname', 'gsslib', 'gssdelegation', 'min_protocol_version', 'max_protocol_version'],
])

/**
 * The options in force. An empty value counts as not given, as in libpq.
 * @throws RetakeError `config.invalid` for an option that libpq does not know, or whose promise could not be kept
 */
export function gatherOptions(given: ConnectionOptions, env: NodeJS.ProcessEnv): ConnectionOptions {
  for (const name of Object.keys(given)) checkName(name)
  const merged: Record<string, string> = {}
  for (const [name, variable] of Object.entries(effective)) {
    const fromEnvironment = variable === undefined ? undefined : env[variable]
    if (fromEnvironment) merged[name] = fromEnvironment
  }
  const service = given.service || merged.service
  if (service) Object.assign(merged, readService(service, given.servicefile || merged.servicefile, env))
  for (const [name, value] of Object.entries(given)) if (value !== '') merged[name] = value
  return merged
}

function checkName(name: string): void {
  if (name in effective || withoutEffect.has(name)) return
  const pooled = ['pgbouncer', 'connection_limit', 'pool_timeout', 'supa'].includes(name)
  throw new RetakeError('config.invalid', `The connection string has an option that cannot be honoured: "${name}".`, {
    hint: pooled
      ? 'This is the address of a connection pooler. Use the direct connection to the server, without this option: replication does not go through a pooler.'
      : 'Remove it. Options are named as in libpq: https://www.postgresql.org/docs/current/libpq-connect.html',
    details: { option: name },
  })
}

function readService(service: string, file: string | undefined, env: NodeJS.ProcessEnv): ConnectionOptions {
  const files = file
    ? [file]
    : [
        join(env.HOME || homedir(), '.pg_service.conf'),
        ...(env.PGSYSCONFDIR ? [join(env.PGSYSCONFDIR, 'pg_service.conf')] : []),
      ]
  for (const path of files) {
    if (!existsSync(path)) continue
    const found = parseServiceFile(readFileSync(path, 'utf8'), service)
    if (!found) continue
    for (const name of Object.keys(found)) checkName(name)
    return found
  }
  throw new RetakeError('config.invalid', `The connection service "${service}" is not defined.`, {
    hint: `Add a section [${service}] to ${files[0]}, or unset PGSERVICE.`,
    details: { service, files },
  })
}

/** The section `[service]` of a pg_service.conf, or undefined when it has none. */
export function parseServiceFile(content: string, service: string): ConnectionOptions | undefined {
  let section: Record<string, string> | undefined
  for (const raw of content.split(/\r?\n/)) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('[')) {
      if (section) return section
      if (line === `[${service}]`) section = {}
      continue
    }
    const equals = line.indexOf('=')
    if (section && equals > 0) section[line.slice(0, equals).trim()] = line.slice(equals + 1).trim()
  }
  return section
}
