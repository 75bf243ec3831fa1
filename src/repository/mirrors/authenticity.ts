/** Whether one copy's object is what was written, and what it means: two objects of one key may be sealed differently and say the same. */
import { isRetakeError } from '../../base/errors.ts'
import type { ObjectReader } from '../../storage/object-store.ts'
import type { ClusterRepository } from '../cluster.ts'
import { openContainer } from '../container.ts'
import { decodeHeader, HEADER_BYTES } from '../container-layout.ts'
import { decodeHolder, isAuthenticHolder } from '../keys/holder-file.ts'
import { clusterFactsKey, epochPrefix, PACKS_PREFIX, REPOSITORY_KEY } from '../layout.ts'
import { readFrames } from '../read-frames.ts'
import { assertAuthentic, type Repository, readRepositoryFile } from '../repository.ts'
import type { Sealing } from '../sealing.ts'
import { readPart } from '../tail-records.ts'
import { parseWalKey } from '../wal-layout.ts'

export type Judgement =
  | { readonly state: 'missing' }
  | { readonly state: 'damaged' }
  /** None of the objects that this version knows. */
  | { readonly state: 'unknown' }
  /** `meaning` is equal for two objects that say the same. */
  | { readonly state: 'authentic'; readonly meaning: string }

export interface JudgeOptions {
  /** `quick` authenticates what lists the content; `deep` every byte. */
  readonly depth: 'quick' | 'deep'
}

export class Authenticator {
  readonly #repository: Repository
  readonly #clusters = new Map<string, Promise<ClusterRepository | undefined>>()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /** Looks at one copy only. */
  async judge(reader: ObjectReader, key: string, options: JudgeOptions): Promise<Judgement> {
    try {
      if (key === REPOSITORY_KEY) return await this.#repositoryFile(reader)
      if (/^keys\/[^/]+\.json$/.test(key)) return await this.#holder(reader, key)
      const cluster = clusterOf(key)
      const wal = cluster === undefined ? undefined : parseWalKey(cluster, key)
      if (cluster !== undefined && wal?.type === 'tail') {
        const opened = await this.cluster(cluster)
        if (opened === undefined) return { state: 'unknown' }
        const part = await readPart({ ...opened, store: reader }, wal)
        return part ? { state: 'authentic', meaning: `tail to ${part.endBytes}` } : { state: 'missing' }
      }
      return await this.#container(reader, key, options)
    } catch (error) {
      if (isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'repo.version')) return { state: 'damaged' }
      if (isRetakeError(error, 'repo.missing')) return { state: 'missing' }
      throw error
    }
  }

  /** Undefined when it cannot be opened from any copy. */
  cluster(name: string): Promise<ClusterRepository | undefined> {
    let opened = this.#clusters.get(name)
    if (opened === undefined) {
      opened = this.#repository.openCluster(name).catch((error: unknown) => {
        this.#clusters.delete(name)
        if (isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'cluster.missing')) return undefined
        throw error
      })
      this.#clusters.set(name, opened)
    }
    return opened
  }

  async #repositoryFile(reader: ObjectReader): Promise<Judgement> {
    const place = { get: reader.get, head: reader.head, list: reader.list, url: this.#repository.url }
    assertAuthentic(await readRepositoryFile(place), this.#repository.repositoryKey)
    return { state: 'authentic', meaning: REPOSITORY_KEY }
  }

  async #holder(reader: ObjectReader, key: string): Promise<Judgement> {
    const bytes = await reader.get(key)
    if (bytes === undefined) return { state: 'missing' }
    const file = decodeHolder(bytes)
    if (file === undefined || !isAuthenticHolder(file, this.#repository.repositoryKey)) return { state: 'damaged' }
    return { state: 'authentic', meaning: Buffer.from(bytes).toString('latin1') }
  }

  async #container(reader: ObjectReader, key: string, options: JudgeOptions): Promise<Judgement> {
    const bytes = await reader.get(key, { offsetBytes: 0, lengthBytes: HEADER_BYTES })
    if (bytes === undefined) return { state: 'missing' }
    const sealings = await this.#sealingsOf(key)
    if (sealings === undefined) return { state: 'unknown' }
    const header = decodeHeader(bytes)
    if (header === undefined) return { state: 'damaged' }
    for (const sealing of sealings) {
      if (!sealing.holds(header.epoch)) continue
      const container = await openContainer(reader, sealing, { key, kind: header.kind }).catch(ignoreDamage)
      if (container === undefined) continue
      if (options.depth === 'deep') for await (const _ of readFrames(container));
      return { state: 'authentic', meaning: meaningOf(header.kind, container.meta) }
    }
    return { state: 'damaged' }
  }

  /** The keys that may have sealed an object; undefined when its place is none of this version's. */
  async #sealingsOf(key: string): Promise<readonly Sealing[] | undefined> {
    if (/^keys\/[^/]+\.receipt$/.test(key)) return [this.#repository.sealing]
    if (key.startsWith(PACKS_PREFIX)) return await this.#allClusters()
    const name = clusterOf(key)
    if (name === undefined) return undefined
    if (key === clusterFactsKey(name) || key.startsWith(epochPrefix(name))) return [this.#repository.sealing]
    const opened = await this.cluster(name)
    return opened && [opened.sealing]
  }

  async #allClusters(): Promise<Sealing[]> {
    const names = await this.#repository.listClusters()
    const clusters = await Promise.all(names.map((name) => this.cluster(name)))
    return clusters.flatMap((cluster) => (cluster ? [cluster.sealing] : []))
  }
}

/** The cluster whose area a key lies in. */
export function clusterOf(key: string): string | undefined {
  return /^clusters\/([^/]+)\//.exec(key)?.[1]
}

/** A range says where WAL begins; when that was noted and in which words is no difference. */
function meaningOf(kind: string, meta: unknown): string {
  if (kind !== 'walRange' || typeof meta !== 'object' || meta === null) return `${kind} ${JSON.stringify(meta)}`
  const { timeline, beginLsn } = meta as { timeline?: unknown; beginLsn?: unknown }
  return `${kind} ${JSON.stringify({ timeline, beginLsn })}`
}

function ignoreDamage(error: unknown): undefined {
  if (!isRetakeError(error, 'repo.damaged')) throw error
}
