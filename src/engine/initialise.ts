/**
 * Setting up: a repository when it is new, its key and recovery kit, the cluster, and the slot that holds WAL on the server.
 * Running it again is harmless: what exists is opened, compared and left as it is.
 */
import { readFile, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { formatLsn } from '../postgres/lsn.ts'
import { openReplication, type ReplicationConnection } from '../postgres/replication/connection.ts'
import type { ClusterFacts } from '../repository/cluster.ts'
import { generateKey, type KeyMaterial } from '../repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../repository/keys/key-text.ts'
import { renderRecoveryKit } from '../repository/keys/recovery-kit.ts'
import { createRepository, openRepository, type Repository } from '../repository/repository.ts'
import { readServerSettings } from '../sources/physical/preflight.ts'
import { ServerLine } from '../sources/physical/server-line.ts'
import { defaultSlotName } from './config-options.ts'
import { isRepositoryThere, type MirrorSetUp, setUpMirrors } from './mirrors/set-up.ts'
import { assertNewFile, writeNewSecretFile } from './new-file.ts'
import {
  keyOf,
  openPlaces,
  otherPlaces,
  type RetakeOptions,
  type RetakeSettings,
  repositoryUrl,
  retakeSettings,
} from './open.ts'

export interface InitialiseOptions extends RetakeOptions {
  /** Make a key and write it to this file, which must not exist (mode 600); only for a repository that is new. */
  readonly newKeyFile?: string | undefined
  /** Add a second key and write it, with instructions, to this file, which must not exist. */
  readonly recoveryKitFile?: string | undefined
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
}

/** `exists`: it was there already and is fine. `planned`: it would be made (`dryRun`). */
export type StepOutcome = 'created' | 'exists' | 'planned'

export interface InitialiseReport {
  readonly dryRun: boolean
  readonly repository: { readonly url: string; readonly id?: string | undefined; readonly outcome: StepOutcome }
  readonly keyFile?: { readonly file: string; readonly outcome: StepOutcome } | undefined
  readonly recoveryKit?: { readonly file: string; readonly outcome: StepOutcome } | undefined
  readonly cluster: {
    readonly name: string
    readonly systemIdentifier: string
    readonly serverVersionNum: number
    readonly server: string
    readonly outcome: StepOutcome
  }
  readonly slot: { readonly name: string; readonly restartLsn?: string | undefined; readonly outcome: StepOutcome }
  /** Only with mirrors. */
  readonly mirrors?: readonly MirrorSetUp[] | undefined
}

/**
 * The server is asked before anything is made, so that a wrong address leaves nothing behind; the slot is made last but before
 * any backup, because WAL that no slot holds may be gone when the receiver starts.
 *
 * @throws RetakeError `key.missing` for a new repository without a key; `cluster.foreign` when the name belongs to another
 * server; `postgres.*`; `config.invalid` when a file exists already
 */
export async function initialise(options: InitialiseOptions): Promise<InitialiseReport> {
  const settings = retakeSettings(options)
  const url = repositoryUrl(settings)
  const target = settings.target()
  const connect = { applicationName: 'retake init', ...(options.signal ? { signal: options.signal } : {}) }
  await using replication = await openReplication(target, connect)
  const { systemIdentifier } = await replication.identifySystem()
  await using line = new ServerLine(target, connect)
  const server = await readServerSettings(line)
  const facts: ClusterFacts = {
    name: settings.clusterName,
    systemIdentifier,
    serverVersionNum: server.serverVersionNum,
    walSegmentSizeBytes: server.walSegmentSizeBytes,
    blockSizeBytes: server.blockSizeBytes,
    slot: settings.config.slot ?? defaultSlotName(settings.clusterName),
  }
  const isNew = !(await isRepositoryThere(settings))
  if (options.dryRun) return await plan(options, { settings, url, facts, isNew, replication, server: target.display })

  const { repository, keyFile } = isNew
    ? await createNew(options, { settings, url })
    : { repository: await openExisting(options, { settings }), keyFile: undefined }
  await using _repository = repository
  const known = (await repository.listClusters()).includes(facts.name)
  const cluster = await repository.registerCluster(facts)
  const slot = await replication.createPhysicalSlot(cluster.facts.slot)
  const position = await replication.readSlot(cluster.facts.slot)
  const kit =
    options.recoveryKitFile === undefined
      ? undefined
      : await ensureRecoveryKit(repository, { file: options.recoveryKitFile, settings })
  const mirrors = await setUpMirrors(settings, repository)
  return {
    dryRun: false,
    ...(mirrors.length > 0 ? { mirrors } : {}),
    repository: { url: repository.url, id: repository.id, outcome: isNew ? 'created' : 'exists' },
    ...(keyFile ? { keyFile: { file: keyFile, outcome: 'created' } } : {}),
    ...(kit ? { recoveryKit: kit } : {}),
    cluster: { ...clusterOf(facts), server: target.display, outcome: known ? 'exists' : 'created' },
    slot: {
      name: cluster.facts.slot,
      restartLsn: position && formatLsn(position.restartLsn),
      outcome: slot.created ? 'created' : 'exists',
    },
  }
}

/** The same command again finds its own kit, which is fine; another file of that name is not overwritten. */
async function ensureRecoveryKit(
  repository: Repository,
  options: { readonly file: string; readonly settings: RetakeSettings },
): Promise<{ file: string; outcome: StepOutcome }> {
  const file = resolve(options.settings.directory, options.file)
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text !== undefined && (await opensRepository(repository.url, text))) return { file, outcome: 'exists' }
  return { file: await addRecoveryKit(repository, options), outcome: 'created' }
}

async function opensRepository(url: string, keyText: string): Promise<boolean> {
  try {
    await using _repository = await openRepository(url, parseKeyText(keyText))
    return true
  } catch (error) {
    if (isRetakeError(error, 'key.wrong') || isRetakeError(error, 'key.malformed')) return false
    throw error
  }
}

/** Adds a key of its own to the repository and writes it as a page to print; returns the file. */
export async function addRecoveryKit(
  repository: Repository,
  options: {
    readonly file: string
    readonly settings: RetakeSettings
    readonly label?: string | undefined
    /** Only look whether the file could be written. */
    readonly dryRun?: boolean | undefined
  },
): Promise<string> {
  const { settings } = options
  const file = resolve(settings.directory, options.file)
  if (options.dryRun) {
    await assertNewFile(file)
    return file
  }
  const key = generateKey()
  const text = renderRecoveryKit({
    repositoryId: repository.id,
    url: repository.url,
    alsoAt: otherPlaces(settings),
    createdAt: settings.clock.now(),
    key,
    clusters: await repository.listClusters(),
  })
  // First the file: a holder whose key nobody wrote down would look like a kit that exists.
  await writeNewSecretFile(file, text)
  try {
    await repository.addHolder(key, { kind: 'recovery-kit', label: options.label ?? 'recovery kit' })
  } catch (error) {
    await unlink(file)
    throw error
  }
  return file
}

interface Place {
  readonly settings: RetakeSettings
  readonly url: string
}

async function createNew(
  options: InitialiseOptions,
  place: Place,
): Promise<{ repository: Repository; keyFile?: string }> {
  const { settings, url } = place
  if (options.newKeyFile === undefined) {
    return { repository: await createRepository(url, await keyForNew(options, settings), { clock: settings.clock }) }
  }
  const key = generateKey()
  const file = resolve(settings.directory, options.newKeyFile)
  // The key is durable before anything is sealed with it.
  await writeNewSecretFile(file, `${formatKeyText(key.bytes)}\n`)
  return { repository: await createRepository(url, key, { clock: settings.clock }), keyFile: file }
}

async function keyForNew(options: InitialiseOptions, settings: RetakeSettings): Promise<KeyMaterial> {
  try {
    // Nobody is asked: a passphrase that is typed once, with a slip, would lock everybody out of the repository.
    return await keyOf({ ...options, askPassphrase: undefined }, settings)
  } catch (error) {
    if (!isRetakeError(error, 'key.missing')) throw error
    throw new RetakeError('key.missing', `A new repository needs a key. ${error.message}`, {
      hint: 'Let one be made: retake init --new-key FILE. Or set RETAKE_PASSPHRASE.',
      cause: error,
    })
  }
}

async function openExisting(options: InitialiseOptions, { settings }: Pick<Place, 'settings'>): Promise<Repository> {
  // The same command again: the key that the first run made is at hand under the same name.
  const { newKeyFile, config } = { newKeyFile: options.newKeyFile, config: settings.config }
  const given = [config.keyFile, config.key, config.keyCommand, config.kmsKey, config.passphrase, options.key].some(
    (one) => one !== undefined,
  )
  const again = given || newKeyFile === undefined ? options : { ...options, keyFile: newKeyFile }
  const key = await keyOf(again, retakeSettings(again))
  return openRepository(await openPlaces(settings), key, { clock: settings.clock })
}

async function plan(
  options: InitialiseOptions,
  context: Place & {
    readonly facts: ClusterFacts
    readonly isNew: boolean
    readonly replication: ReplicationConnection
    readonly server: string
  },
): Promise<InitialiseReport> {
  const { settings, url, facts, isNew } = context
  let clusterExists = false
  let id: string | undefined
  if (!isNew) {
    await using repository = await openExisting(options, context)
    id = repository.id
    clusterExists = (await repository.listClusters()).includes(facts.name)
    if (clusterExists) assertSame((await repository.openCluster(facts.name)).facts, facts)
  }
  const slot = await context.replication.readSlot(facts.slot)
  const file = (name: string | undefined) =>
    name && { file: resolve(settings.directory, name), outcome: 'planned' as const }
  const keyFile = isNew ? file(options.newKeyFile) : undefined
  const recoveryKit = file(options.recoveryKitFile)
  return {
    dryRun: true,
    repository: { url, id, outcome: isNew ? 'planned' : 'exists' },
    ...(keyFile ? { keyFile } : {}),
    ...(recoveryKit ? { recoveryKit } : {}),
    cluster: { ...clusterOf(facts), server: context.server, outcome: clusterExists ? 'exists' : 'planned' },
    slot: { name: facts.slot, restartLsn: slot && formatLsn(slot.restartLsn), outcome: slot ? 'exists' : 'planned' },
  }
}

function assertSame(stored: ClusterFacts, found: ClusterFacts): void {
  if (stored.systemIdentifier === found.systemIdentifier) return
  throw new RetakeError(
    'cluster.foreign',
    `The name "${stored.name}" belongs to another cluster (system identifier ${stored.systemIdentifier}).`,
    {
      hint: 'Register this server under another name: --cluster NAME.',
      details: { stored: stored.systemIdentifier, found: found.systemIdentifier },
    },
  )
}

function clusterOf({ name, systemIdentifier, serverVersionNum }: ClusterFacts) {
  return { name, systemIdentifier, serverVersionNum }
}
