/** What a server is told: which clusters it looks after, where it keeps what it knows, where it is reached. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as z from 'zod'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { resolveConfig } from '../engine/config.ts'
import { DEFAULT_CLUSTER } from '../engine/config-options.ts'
import type { RetakeOptions } from '../engine/open.ts'
import { readYaml } from '../engine/read-yaml.ts'
import { type ReadPolicy, readAlertPolicy } from '../monitor/alerts/read-policy.ts'
import type { ChannelConfig } from '../monitor/channels/config.ts'
import { readChannels } from '../monitor/channels/read-channels.ts'
import { SERVER_SUBJECT } from './own-subject.ts'

export const SERVER_CONFIG_FILE = 'retake.server.yaml'
export const DEFAULT_LISTEN = '127.0.0.1:7420'

const serverFileSchema = z.strictObject({
  clusters: z.array(z.string().min(1)).min(1).optional(),
  directory: z.string().min(1).optional(),
  listen: z.string().min(1).optional(),
  checkSeconds: z.int().min(5).max(3600).optional(),
  receive: z.boolean().optional(),
  runs: z.int().min(1).max(64).optional(),
  graceSeconds: z.int().min(0).max(86_400).optional(),
  channels: z.unknown().optional(),
  alerts: z.unknown().optional(),
  heartbeat: z.url({ protocol: /^https?$/ }).optional(),
})

export interface ServerConfig {
  /** What each cluster's own configuration says, by the cluster's name. */
  readonly clusters: readonly ClusterConfig[]
  /** Of this server's own data: the control database, the token. */
  readonly directory: string
  readonly listen: { readonly host: string; readonly port: number }
  /** How often each cluster is looked at. */
  readonly checkMs: number
  /** Whether WAL is received; otherwise somebody else does it. */
  readonly receive: boolean
  /** How many runs there are at a time on this server. */
  readonly runs: number
  /** How long a stopping server waits for what runs; then it leaves that to the others. */
  readonly graceMs: number
  /** How people are told. */
  readonly channels: readonly ChannelConfig[]
  readonly alerts: ReadPolicy
  /** An address that is told regularly that this server lives, so that its silence is noticed elsewhere. */
  readonly heartbeat: string | undefined
}

export interface ClusterConfig {
  readonly name: string
  readonly file: string | undefined
  readonly options: RetakeOptions
}

export interface ReadServerConfigOptions {
  /** A file that was named; it must exist. Default: `retake.server.yaml` in `directory`, if there is one. */
  readonly file?: string | undefined
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
  readonly listen?: string | undefined
  readonly data?: string | undefined
  /** What the command line and the usual configuration say, for a server without a list of clusters. */
  readonly single: () => Promise<RetakeOptions>
}

/**
 * Reads the server's file and the configuration of each cluster. Without a file, or without `clusters` in it, there is one: the usual one.
 * @throws RetakeError `config.invalid`
 */
export async function readServerConfig(options: ReadServerConfigOptions): Promise<ServerConfig> {
  const { env, directory } = options
  const found = await findFile(options)
  const file = found?.values ?? {}
  const base = found ? dirname(found.file) : directory
  const clusters = file.clusters
    ? await readClusters(file.clusters, { base, env })
    : [clusterOf(await options.single())]
  assertDistinct(clusters)
  const channels = file.channels === undefined ? [] : readChannels(file.channels)
  return {
    clusters,
    directory: dataDirectory({ flag: options.data, file: file.directory, base, directory, env }),
    listen: parseListen(options.listen ?? file.listen ?? DEFAULT_LISTEN),
    checkMs: (file.checkSeconds ?? 60) * 1000,
    receive: file.receive ?? true,
    runs: file.runs ?? 2,
    graceMs: (file.graceSeconds ?? 20) * 1000,
    channels,
    alerts: readAlertPolicy(file.alerts, {
      channels: channels.map(({ name }) => name),
      clusters: clusters.map(({ name }) => name),
    }),
    heartbeat: file.heartbeat,
  }
}

async function findFile({ file, directory }: ReadServerConfigOptions) {
  const path = resolve(directory, file ?? SERVER_CONFIG_FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (file === undefined && systemErrorCode(error) === 'ENOENT') return undefined
    throw new RetakeError('config.invalid', `${path} cannot be read (${systemErrorCode(error) ?? 'unknown error'}).`, {
      hint: 'Name the file of the server with --server-config, or leave it out for one cluster.',
    })
  }
  const read = readYaml(text)
  if ('place' in read) {
    throw new RetakeError('config.invalid', `${path} is not valid YAML${read.place}.`, { hint: 'Correct the file.' })
  }
  const parsed = serverFileSchema.safeParse(read.value ?? {})
  if (parsed.success) return { file: path, values: parsed.data }
  const [issue] = parsed.error.issues
  throw new RetakeError('config.invalid', `${path}: ${issue?.path.join('.') || 'the file'}: ${issue?.message}.`, {
    hint: 'docs/server.md lists what may stand there.',
  })
}

/** Each is a configuration file, or a directory of them. */
async function readClusters(
  paths: readonly string[],
  { base, env }: { readonly base: string; readonly env: NodeJS.ProcessEnv },
): Promise<ClusterConfig[]> {
  const files = (await Promise.all(paths.map((path) => filesOf(resolve(base, path))))).flat()
  if (files.length === 0) {
    throw new RetakeError('config.invalid', `There is no configuration of a cluster in ${paths.join(', ')}.`, {
      hint: 'Put one file for each cluster there, such as main.yaml.',
    })
  }
  return Promise.all(files.map((file) => readCluster(file, env)))
}

async function filesOf(path: string): Promise<string[]> {
  const facts = await stat(path).catch(() => undefined)
  if (!facts?.isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => /\.(ya?ml|json)$/.test(name)).sort()
  return names.map((name) => join(path, name))
}

/** What the environment says of one cluster would be said of all; only what is the same for all, the access to the storage and PG*, stays. */
async function readCluster(file: string, env: NodeJS.ProcessEnv): Promise<ClusterConfig> {
  const shared = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('RETAKE_')))
  const directory = dirname(file)
  const { config } = await resolveConfig({ env: {}, directory, file })
  return clusterOf({ ...config, env: shared, directory, configFile: file })
}

function clusterOf(options: RetakeOptions): ClusterConfig {
  return { name: options.cluster ?? DEFAULT_CLUSTER, file: options.configFile, options }
}

function assertDistinct(clusters: readonly ClusterConfig[]): void {
  const seen = new Map<string, string | undefined>()
  for (const { name, file } of clusters) {
    if (name === SERVER_SUBJECT) {
      throw new RetakeError('config.invalid', `${file ?? 'The configuration'}: no cluster can be called "${name}".`, {
        hint: 'Alerts about the server itself have that name. Give the cluster another one: "cluster: NAME" in its file.',
      })
    }
    if (seen.has(name)) {
      throw new RetakeError('config.invalid', `${file} and ${seen.get(name)} are both about a cluster "${name}".`, {
        hint: 'Give each cluster a name of its own: "cluster: NAME" in its file.',
      })
    }
    seen.set(name, file)
  }
}

interface DataPlaces {
  readonly flag: string | undefined
  readonly file: string | undefined
  readonly base: string
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
}

/** https://specifications.freedesktop.org/basedir-spec/latest/ */
function dataDirectory({ flag, file, base, directory, env }: DataPlaces): string {
  if (flag !== undefined) return resolve(directory, flag)
  if (file !== undefined) return resolve(base, file)
  if (env.STATE_DIRECTORY) return env.STATE_DIRECTORY
  if (process.getuid?.() === 0) return '/var/lib/retake/server'
  return join(env.XDG_STATE_HOME || join(env.HOME ?? directory, '.local', 'state'), 'retake')
}

export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const [, host = '', port = ''] = /^(?:\[?([^\]]*?)\]?:)?(\d+)$/.exec(text) ?? []
  const number = Number(port)
  if (port === '' || number > 65_535) {
    throw new RetakeError('config.invalid', `"${text}" is no address to listen on.`, {
      hint: `Write it as HOST:PORT, such as ${DEFAULT_LISTEN}.`,
    })
  }
  return { host: host || '127.0.0.1', port: number }
}
