/**
 * What keeps the throw-away server from doing anything to anybody (R10): it hears nobody but through a socket in a directory that is closed,
 * archives nothing, follows nobody, subscribes to nothing, and starts none of the libraries that would run jobs or send requests by themselves.
 */
import { chown, writeFile } from 'node:fs/promises'
import type { ServerAccount } from '../postgres/server/account.ts'

const SHARED_BUFFERS = '64MB'

/** Who gets so far is the account of the server, or root: nobody else can enter the directory. */
export async function makeHba({
  hbaFile,
  account,
}: {
  readonly hbaFile: string
  readonly account: ServerAccount | undefined
}): Promise<void> {
  await writeFile(hbaFile, 'local all all trust\n', { mode: 0o600 })
  if (account) await chown(hbaFile, account.uid, account.gid)
}

/** Beside what every restored server has (`recovery/settings.ts`): archive_mode off, no primary, no standbys to wait for. */
export function sandboxSettings(
  sandbox: { readonly socketDirectory: string; readonly hbaFile: string },
  { serverVersionNum }: { readonly serverVersionNum: number },
): Readonly<Record<string, string>> {
  return {
    // Nobody comes in.
    listen_addresses: '',
    unix_socket_directories: sandbox.socketDirectory,
    unix_socket_permissions: '0700',
    unix_socket_group: '',
    hba_file: sandbox.hbaFile,
    ssl: 'off',
    bonjour: 'off',
    // Nothing goes out: pg_cron, pg_net and their like work only when they are preloaded, subscriptions only with their launcher.
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',
    max_logical_replication_workers: '0',
    archive_command: '',
    archive_library: '',
    ...(serverVersionNum >= 170_000 ? { event_triggers: 'off', sync_replication_slots: 'off' } : {}),
    // It leaves the machine to others.
    min_dynamic_shared_memory: '0',
    shared_buffers: SHARED_BUFFERS,
    huge_pages: 'off',
    work_mem: '8MB',
    maintenance_work_mem: '64MB',
    autovacuum: 'off',
    jit: 'off',
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',
    // A library of the source that this machine does not have must not keep the server from starting.
    ...(serverVersionNum >= 180_000 ? { io_method: 'worker', oauth_validator_libraries: '' } : {}),
  }
}

/**
 * For a session: what roles and databases have been given (`ALTER ROLE … SET`) must not cut a check short, load libraries, or fire triggers.
 * The options of a connection win over those.
 */
export function sessionOptions(serverVersionNum: number): string {
  const settings: Readonly<Record<string, string>> = {
    session_preload_libraries: '',
    local_preload_libraries: '',
    // Event triggers do not fire in this role, on versions that cannot switch them off.
    session_replication_role: 'replica',
    search_path: 'pg_catalog',
    statement_timeout: '0',
    lock_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    idle_session_timeout: '0',
    default_transaction_read_only: 'off',
    ...(serverVersionNum >= 170_000 ? { transaction_timeout: '0' } : {}),
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}
