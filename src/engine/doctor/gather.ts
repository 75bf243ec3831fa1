/** The facts of repository and machine for `doctor`: everything that can go wrong here becomes data. */
import { stat } from 'node:fs/promises'
import { toRetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { findPostgresBinaries } from '../../postgres/server/binaries.ts'
import type { Repository } from '../../repository/repository.ts'
import { listBackups } from '../backups.ts'
import { DEFAULT_BACKUP_MAX_AGE_HOURS } from '../config-options.ts'
import { newestKitProof } from '../keys/newest-kit-proof.ts'
import { openRetake, type Retake, type RetakeOptions, type RetakeSettings } from '../open.ts'
import { readReceiver } from '../receiver-state.ts'
import type { MachineFacts } from './machine-checks.ts'
import type { RepositoryFacts } from './repository-checks.ts'
import type { ServerFacts } from './server-facts.ts'
import { directoryOf, freeSpace } from './space.ts'
import { gatherSpoolFacts, type SpoolFacts } from './spool-facts.ts'

export interface DoctorContext {
  readonly options: RetakeOptions
  readonly settings: RetakeSettings
  readonly slotName: string
  /** What a receiver of ours calls itself to the server. */
  readonly receiverName: string
  /** Time limit of each step of gathering. */
  readonly stepLimitMs: number
  readonly signal?: AbortSignal | undefined
}

export async function gatherRepositoryFacts(
  context: DoctorContext,
  known: {
    readonly server: ServerFacts | undefined
    readonly systemIdentifier: string | undefined
    readonly signal: AbortSignal
  },
): Promise<RepositoryFacts & { readonly spool: SpoolFacts }> {
  const { settings } = context
  const dataDirectory = known.server?.settings.get('data_directory')
  const nothing = {
    openError: undefined,
    url: settings.config.repo,
    writeError: undefined,
    storage: undefined,
    space: undefined,
    holders: [],
    clusterName: settings.clusterName,
    cluster: undefined,
    backups: [],
    damagedBackups: [],
    receiver: undefined,
    nowMs: settings.clock.now().getTime(),
    backupMaxAgeHours: settings.config.backupMaxAgeHours ?? DEFAULT_BACKUP_MAX_AGE_HOURS,
    serverSystemIdentifier: known.systemIdentifier,
    sharesDiskWithData: undefined,
  }
  let retake: Retake
  try {
    retake = await openRetake({ ...context.options, signal: known.signal })
  } catch (error) {
    const spool = await gatherSpoolFacts(settings, { retake: undefined, dataDirectory })
    return { ...nothing, openError: toRetakeError(error), spool }
  }
  await using opened = retake
  const directory = directoryOf(opened.repository.url)
  const { writeError, storage } = await tryStorage(opened.repository)
  return {
    ...nothing,
    url: opened.repository.url,
    writeError,
    storage,
    space: directory === undefined ? undefined : await freeSpace(directory),
    holders: await opened.repository.listHolders(),
    kitProvenAt: (await newestKitProof(opened.repository))?.provenAt,
    sharesDiskWithData: await sharesDisk(directory, dataDirectory),
    ...(await clusterFacts(opened)),
    spool: await gatherSpoolFacts(settings, { retake: opened, dataDirectory }),
  }
}

async function clusterFacts(
  retake: Retake,
): Promise<Partial<Pick<RepositoryFacts, 'cluster' | 'backups' | 'damagedBackups' | 'receiver'>>> {
  if (!(await retake.repository.listClusters()).includes(retake.clusterName)) return {}
  const cluster = await retake.cluster()
  const { backups, damaged } = await listBackups(retake)
  return {
    cluster: cluster.facts,
    backups,
    damagedBackups: damaged.map(({ backupId }) => backupId),
    receiver: await readReceiver(cluster, retake.clock),
  }
}

/** A bucket is tried in everything that matters. In a directory an object is begun and given up, which never becomes visible. */
async function tryStorage({ store }: Repository): Promise<Pick<RepositoryFacts, 'writeError' | 'storage'>> {
  try {
    const storage = await store.probe?.()
    if (storage) return { writeError: undefined, storage }
    await using writer = await store.openWriter(`packs/00/${randomId(16)}`)
    await writer.write(new Uint8Array(4096))
    return { writeError: undefined, storage: undefined }
  } catch (error) {
    return { writeError: toRetakeError(error, 'storage.failed'), storage: undefined }
  }
}

async function sharesDisk(
  directory: string | undefined,
  dataDirectory: string | undefined,
): Promise<boolean | undefined> {
  if (directory === undefined || dataDirectory === undefined) return undefined
  // The server may be another machine on which the same path means something else, or be closed to this user.
  const [repository, data] = await Promise.all(
    [directory, dataDirectory].map((path) => stat(path).catch(() => undefined)),
  )
  return repository && data ? repository.dev === data.dev : undefined
}

export async function gatherMachineFacts(
  { settings }: DoctorContext,
  known: { readonly major: number | undefined; readonly preloads: string | undefined },
): Promise<MachineFacts> {
  const { configFile, config } = settings
  return {
    major: known.major,
    preloads: (known.preloads ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    binaries: known.major === undefined ? undefined : await findBinaries(known.major, config.postgresBinDirectory),
    configFile: configFile === undefined ? undefined : await configFileFacts(configFile, config.databaseUrl),
  }
}

async function findBinaries(major: number, directory: string | undefined): Promise<MachineFacts['binaries']> {
  try {
    return await findPostgresBinaries({ major, ...(directory === undefined ? {} : { directory }) })
  } catch (error) {
    return { error: toRetakeError(error) }
  }
}

async function configFileFacts(file: string, databaseUrl: string | undefined): Promise<MachineFacts['configFile']> {
  const { mode } = await stat(file)
  const holdsPassword = databaseUrl !== undefined && /:\/\/[^/@]*:[^/@]+@|password\s*=/i.test(databaseUrl)
  return { file, mode, holdsPassword }
}
