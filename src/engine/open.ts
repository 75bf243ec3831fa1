/** The composition root: configuration in, an opened repository and a way to the server out. */
import { resolve } from 'node:path'
import { type Clock, systemClock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import { type Logger, silentLogger } from '../base/progress.ts'
import { type ConnectionTarget, resolveConnection } from '../postgres/connection/config.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { KeyMaterial } from '../repository/keys/key-material.ts'
import { REFERRING_KEYS } from '../repository/layout.ts'
import { openRepository, type Repository } from '../repository/repository.ts'
import { createSharedView } from '../storage/mirrored/shared-view.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { openStore } from '../storage/open.ts'
import { type CopyPlace, DEFAULT_TIME_LIMITS, type MirroredAddress, mirrorSyncs } from '../storage/store-address.ts'
import { type Config, DEFAULT_CLUSTER, ORIGIN } from './config-options.ts'
import { loadKey } from './key-source.ts'

/** Everything {@link openRetake} takes: the options of the configuration, and what a program has that a file has not. */
export interface RetakeOptions extends Omit<Config, 'key'> {
  /** The key: its text (`RETAKE-KEY-1:…`), or the material itself. */
  readonly key?: string | KeyMaterial | undefined
  /** Read for libpq's `PG*` variables and `.pgpass` when the server is needed. Default: none of them. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** What relative paths refer to. Default: the working directory. */
  readonly directory?: string | undefined
  /** The file that the options were read from, for `doctor`. */
  readonly configFile?: string | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
  /** Asks a person for a passphrase, when no key was given. */
  readonly askPassphrase?: (() => Promise<string>) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What every verb works with: where the backups are, which cluster is meant, how its server is reached. */
export interface RetakeSettings {
  readonly config: Config
  readonly clusterName: string
  readonly directory: string
  readonly configFile: string | undefined
  readonly logger: Logger
  readonly clock: Clock
  /** @throws RetakeError `config.invalid` when the address of the server cannot be understood */
  readonly target: () => ConnectionTarget
}

/** An opened repository. Dispose it when done: `await using retake = await openRetake(…)`. */
export interface Retake extends RetakeSettings, AsyncDisposable {
  readonly repository: Repository
  /** The configured cluster, opened once. @throws RetakeError `cluster.missing` */
  readonly cluster: () => Promise<ClusterRepository>
}

/**
 * Opens a repository.
 *
 * ```ts
 * await using retake = await openRetake({
 *   repo: '/var/lib/retake',
 *   keyFile: '/etc/retake/key',
 *   databaseUrl: 'postgres://retake@db.internal/postgres',
 * })
 * for (const backup of await listBackups(retake)) console.log(backup.backupId, backup.stoppedAt)
 * ```
 *
 * Nothing is read from the environment unless `env` is given; {@link resolveConfig} reads it the way the command line does.
 * @throws RetakeError `config.invalid`, `repo.missing`, `repo.version`, `repo.damaged`, `key.missing`, `key.malformed`, `key.wrong`
 */
export async function openRetake(options: RetakeOptions): Promise<Retake> {
  const settings = retakeSettings(options)
  // Without a repository nobody is asked for its key.
  repositoryUrl(settings)
  const key = await keyOf(options, settings)
  const repository = await openRepository(await openPlaces(settings), key, { clock: settings.clock })
  return assembleRetake(settings, repository)
}

/** The same without a repository: for what needs none, such as `readNative` and the health of a cluster. */
export function retakeSettings(options: RetakeOptions): RetakeSettings {
  const { key, env, directory, configFile, logger, clock, askPassphrase: _ask, signal: _signal, ...config } = options
  const here = directory ?? process.cwd()
  return {
    config: typeof key === 'string' ? { ...config, key } : config,
    clusterName: config.cluster ?? DEFAULT_CLUSTER,
    directory: here,
    configFile,
    logger: logger ?? silentLogger,
    clock: clock ?? systemClock,
    target: () => resolveConnection(config.databaseUrl, env ?? {}),
  }
}

/** @throws RetakeError `config.invalid` when no repository is named */
export function repositoryUrl({ config, directory }: RetakeSettings): string {
  if (config.repo === undefined) {
    throw new RetakeError('config.invalid', 'No repository was named, so it is unknown where the backups live.', {
      hint: 'Give --repo DIRECTORY or --repo s3://BUCKET/PREFIX, set RETAKE_REPO, or write "repo: …" into retake.config.yaml.',
    })
  }
  return absoluteUrl(config.repo, directory)
}

/** The configured repository: its URL, or all its places as one store. */
export async function openPlaces(settings: RetakeSettings): Promise<string | ObjectStore> {
  const copies = copyPlaces(settings)
  if (copies.length === 1) return repositoryUrl(settings)
  const { logger, config } = settings
  const mirrorSync = mirrorSyncs.find((rule) => rule === config.mirrorSync) ?? 'available'
  const address: MirroredAddress = {
    copies,
    mirrorSync,
    referring: REFERRING_KEYS,
    limits: DEFAULT_TIME_LIMITS,
    shared: createSharedView(),
  }
  return await openStore(address, { onCopyEvent: ({ message, copy }) => logger.warn(message, { copy }) })
}

/** Where the repository is kept: what `repo` names, then its mirrors. */
export function copyPlaces(settings: RetakeSettings): CopyPlace[] {
  return [{ name: ORIGIN, url: repositoryUrl(settings) }, ...mirrorPlaces(settings)]
}

function mirrorPlaces({ config, directory }: RetakeSettings): CopyPlace[] {
  const { mirrors = [] } = config
  return mirrors.map(({ name, url }) => ({ name, url: absoluteUrl(url, directory) }))
}

/** Where the repository is kept besides what `repo` names. */
export function otherPlaces(settings: RetakeSettings): string[] {
  return mirrorPlaces(settings).map(({ url }) => url)
}

/** The configured spool of this machine. */
export function spoolDirectory({ config, directory }: RetakeSettings): string | undefined {
  return config.spool === undefined ? undefined : resolve(directory, config.spool)
}

function absoluteUrl(url: string, directory: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(url) ? url : resolve(directory, url)
}

export async function keyOf(options: RetakeOptions, settings: RetakeSettings): Promise<KeyMaterial> {
  if (typeof options.key === 'object') return options.key
  const { config, directory, logger } = settings
  return loadKey({ config, directory, logger, signal: options.signal, askPassphrase: options.askPassphrase })
}

export function assembleRetake(settings: RetakeSettings, repository: Repository): Retake {
  let cluster: Promise<ClusterRepository> | undefined
  return {
    ...settings,
    repository,
    cluster: () => {
      cluster ??= repository.openCluster(settings.clusterName)
      return cluster
    },
    [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose](),
  }
}
