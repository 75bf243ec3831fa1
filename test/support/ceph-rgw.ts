/**
 * A real S3-compatible server for tests: Ceph's object gateway with one monitor and one storage daemon in memory, from the
 * operating system's packages. Loopback only, everything in one directory, ended by process id.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'

const PROGRAMS = ['ceph', 'ceph-authtool', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'] as const
const READY_WITHIN_MS = 90_000
const MEMORY_BYTES = 4 * 1024 ** 3

export const CEPH_PACKAGES = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common'] as const

export interface CephRgw extends AsyncDisposable {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The programs that are not installed; empty when all are. */
export function missingCephPrograms(): string[] {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/usr/sbin']
  return PROGRAMS.filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
}

/** @param directory exists and is empty; its path must be short, because sockets lie in it */
export async function startCephRgw(directory: string): Promise<CephRgw> {
  const ports = await freePorts(3)
  const cluster = randomUUID()
  const osd = randomUUID()
  const config = join(directory, 'ceph.conf')
  const keyring = join(directory, 'keyring')
  for (const name of ['mon', 'osd', 'rgw', 'log']) await mkdir(join(directory, name))
  await writeFile(config, configText({ directory, cluster, ports }))
  await makeKeys(keyring)
  const [first, second, http] = ports
  const monmap = join(directory, 'monmap')
  const address = `[v2:127.0.0.1:${first},v1:127.0.0.1:${second}]`
  await run('monmaptool', ['--create', '--fsid', cluster, '--addv', 'a', address, monmap])
  const daemons = new Daemons(directory)
  await using undo = new AsyncDisposableStack()
  undo.use(daemons)
  const common = ['-c', config]
  await run('ceph-mon', [...common, '--mkfs', '-i', 'a', '--monmap', monmap, '--keyring', keyring])
  daemons.start('ceph-mon', [...common, '-i', 'a', '-f'])
  await daemons.whileRunning(run('ceph', [...common, '--connect-timeout', '60', 'osd', 'new', osd]))
  await run('ceph-osd', [...common, '-i', '0', '--mkfs', '--osd-uuid', osd])
  daemons.start('ceph-osd', [...common, '-i', '0', '-f'])
  daemons.start('radosgw', [...common, '-n', 'client.rgw.a', '--keyring', keyring, '-f'])
  const endpoint = `http://127.0.0.1:${http}`
  await daemons.whileRunning(answers(endpoint))
  const user = { accessKeyId: 'TESTACCESSKEY', secretAccessKey: 'test-secret-key' }
  const access = [`--access-key=${user.accessKeyId}`, `--secret-key=${user.secretAccessKey}`]
  await run('radosgw-admin', [...common, 'user', 'create', '--uid=test', '--display-name=test', ...access])
  const running = undo.move()
  return { endpoint, ...user, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function configText(options: {
  readonly directory: string
  readonly cluster: string
  readonly ports: readonly number[]
}): string {
  const { directory, cluster, ports } = options
  const [first, second, http] = ports
  return `[global]
fsid=${cluster}
mon_host=[v2:127.0.0.1:${first}/0,v1:127.0.0.1:${second}/0]
mon_initial_members=a
auth_cluster_required=cephx
auth_service_required=cephx
auth_client_required=cephx
public_addr=127.0.0.1
cluster_addr=127.0.0.1
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=1
osd_pool_default_pgp_num=1
osd_pool_default_pg_autoscale_mode=off
osd_crush_chooseleaf_type=0
mon_allow_pool_size_one=true
osd_objectstore=memstore
memstore_device_bytes=${MEMORY_BYTES}
mon_data=${directory}/mon
osd_data=${directory}/osd
keyring=${directory}/keyring
run_dir=${directory}
pid_file=${directory}/$type.$id.pid
admin_socket=${directory}/$name.asok
log_file=${directory}/log/$name.log
# Each pool that the gateway makes at its start waits for the monitor: with its usual second this takes four times as long.
paxos_propose_interval=0.02
paxos_min_wait=0.01
[client.rgw.a]
rgw_data=${directory}/rgw
rgw_frontends=beast endpoint=127.0.0.1:${http}
`
}

async function makeKeys(keyring: string): Promise<void> {
  const all = ['--cap', 'mon', 'allow *']
  const keys: readonly (readonly [string, readonly string[]])[] = [
    ['mon.', all],
    ['client.admin', [...all, '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *']],
    ['client.rgw.a', ['--cap', 'mon', 'allow rwx', '--cap', 'osd', 'allow rwx']],
    ['osd.0', ['--cap', 'mon', 'allow profile osd', '--cap', 'osd', 'allow *']],
  ]
  for (const [index, [name, caps]] of keys.entries()) {
    await run('ceph-authtool', [...(index === 0 ? ['-C'] : []), keyring, '--gen-key', '-n', name, ...caps])
  }
}

class Daemons implements AsyncDisposable {
  readonly #directory: string
  readonly #children: { readonly program: string; readonly child: ChildProcess; readonly ended: Promise<void> }[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  start(program: string, args: readonly string[]): void {
    const child = spawn(program, args, { cwd: this.#directory, stdio: 'ignore', env: environment() })
    // A run that fails before it disposes must neither wait for a daemon nor leave it behind.
    child.unref()
    process.once('exit', () => child.kill('SIGKILL'))
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    this.#children.push({ program, child, ended })
  }

  /** @throws Error with the daemon's log when one ends meanwhile */
  async whileRunning<T>(action: Promise<T>): Promise<T> {
    const failures = this.#children.map(async ({ program, ended }) => {
      await ended
      throw new Error(`${program} ended by itself:\n${await this.#logs()}`)
    })
    return await Promise.race([action, ...failures])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The gateway first; what is stored is in memory, so nothing is worth an orderly end.
    for (const { child, ended } of this.#children.splice(0).toReversed()) {
      child.ref()
      child.kill('SIGKILL')
      await ended
    }
  }

  async #logs(): Promise<string> {
    const names = ['mon.a', 'osd.0', 'client.rgw.a']
    const texts = names.map((name) => readFile(join(this.#directory, 'log', `${name}.log`), 'utf8').catch(() => ''))
    return (await Promise.all(texts)).map((text) => text.slice(-2000)).join('\n')
  }
}

const execute = promisify(execFile)

async function run(program: string, args: readonly string[]): Promise<void> {
  await execute(program, args, { timeout: READY_WITHIN_MS, env: environment() })
}

/** System programs lie where an ordinary user's PATH does not look. The server is for more than one test, so none is its owner. */
function environment(): NodeJS.ProcessEnv {
  const { RETAKE_TEST_MARK: _, ...env } = process.env
  return { ...env, PATH: `${process.env.PATH}:/usr/bin:/usr/sbin` }
}

async function answers(endpoint: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    try {
      await (await fetch(endpoint, { signal: AbortSignal.timeout(2000) })).arrayBuffer()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await setTimeout(50)
    }
  }
}

/** All different, because all are held until the last is known. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise<typeof server>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', () => resolve(server))
      })
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
