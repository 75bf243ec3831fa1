/** One part of the open segment as it is written: growing where the storage can append durably, else one object per sync. */
import { randomBytes } from 'node:crypto'
import { randomId } from '../base/ids.ts'
import { releaseBackingMemory } from '../base/memory.ts'
import type { ObjectAppender } from '../storage/object-store.ts'
import { conflictError } from '../storage/storage-errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { deriveObjectKey, SALT_BYTES } from './sealing.ts'
import { sealTailHeader } from './tail-records.ts'
import { type TailId, tailPartKey } from './wal-layout.ts'

export interface OpenPart {
  readonly key: string
  readonly offsetBytes: number
  readonly objectKey: Uint8Array
  /** Records written so far. */
  count: number
  durable: number
  /** A storage that cannot append makes one object per sync. */
  finished: boolean
  append(pieces: readonly Uint8Array[]): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** Begins a part. @throws RetakeError `repo.conflict` when its random name is taken */
export async function openPart(
  cluster: ClusterRepository,
  tail: TailId & { readonly offsetBytes: number },
): Promise<OpenPart> {
  const { store, sealing, facts } = cluster
  const key = tailPartKey(facts.name, { ...tail, random: randomId(4) })
  const salt = randomBytes(SALT_BYTES)
  const { epoch } = sealing
  const objectKey = deriveObjectKey(sealing, { kind: 'walTail', key, epoch, salt })
  const header = sealTailHeader(objectKey, { epoch, salt })
  if (store.openAppender) {
    const appender = await store.openAppender(key)
    try {
      return await growingPart({ key, offsetBytes: tail.offsetBytes, objectKey }, { appender, header })
    } catch (error) {
      // A part without a whole header would look damaged. It holds nothing; on a full disk a deletion still works.
      await store.delete(key, { copies: 'reachable' }).catch(() => {})
      throw error
    }
  }
  const pieces: Uint8Array[] = [header]
  const part: OpenPart = {
    ...emptyPart({ key, offsetBytes: tail.offsetBytes, objectKey }),
    async append(body) {
      pieces.push(...body)
    },
    async sync() {
      if (part.count === 0 || part.finished) return
      if (!(await store.create(key, pieces))) throw conflictError(key, store.url)
      part.finished = true
      for (const piece of pieces) releaseBackingMemory(piece)
    },
    async close() {},
  }
  return part
}

type PartName = Pick<OpenPart, 'key' | 'offsetBytes' | 'objectKey'>

function emptyPart(name: PartName): PartName & Pick<OpenPart, 'count' | 'durable' | 'finished'> {
  return { ...name, count: 0, durable: 0, finished: false }
}

async function growingPart(
  name: PartName,
  options: { readonly appender: ObjectAppender; readonly header: Uint8Array },
): Promise<OpenPart> {
  const { appender, header } = options
  try {
    await appender.append(header)
  } catch (error) {
    await appender[Symbol.asyncDispose]()
    throw error
  }
  return {
    ...emptyPart(name),
    async append(pieces) {
      await appender.append(pieces)
      for (const piece of pieces) releaseBackingMemory(piece)
    },
    sync: () => appender.sync(),
    close: async () => appender[Symbol.asyncDispose](),
  }
}
