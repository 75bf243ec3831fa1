/** What the victims of the soak of keys do, and what the soak itself does again to the end. */
import { addKey } from '../../src/engine/keys/add-key.ts'
import { reEncrypt } from '../../src/engine/keys/re-encrypt.ts'
import { removeKey } from '../../src/engine/keys/remove-key.ts'
import { retireKeys } from '../../src/engine/keys/retire-keys.ts'
import { rotateData } from '../../src/engine/keys/rotate-data.ts'
import type { Retake } from '../../src/engine/open.ts'

export const KEY_WORKS = ['rotate', 're-encrypt', 'retire', 'add a key', 'remove a key'] as const
export type KeyWork = (typeof KEY_WORKS)[number]

export const NEW_KEY_LABEL = 'soak'
/** In the environment of a victim, like the key that opens the repository. */
export const NEW_KEY_VARIABLE = 'SOAK_NEW_KEY'

/** @param newKey the text of the key that is added */
export async function doKeyWork(retake: Retake, work: KeyWork, newKey: string): Promise<void> {
  switch (work) {
    case 'rotate':
      await rotateData(retake)
      return
    case 're-encrypt':
      await reEncrypt(retake).result
      return
    case 'retire':
      await retireKeys(retake, { graceMs: 0 })
      return
    case 'add a key':
      await addKey(retake, { source: { kind: 'text', text: newKey }, label: NEW_KEY_LABEL })
      return
    case 'remove a key':
      await removeKey(retake, { holder: NEW_KEY_LABEL })
  }
}
