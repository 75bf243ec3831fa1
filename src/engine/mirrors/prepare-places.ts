import { openStore } from '../../storage/open.ts'
import { assertSuitable } from '../../storage/suitability.ts'
import { ORIGIN } from '../config-options.ts'
import { copyPlaces, type RetakeSettings } from '../open.ts'

/** A directory is made; a bucket must exist, and do what a repository needs. */
export async function preparePlaces(settings: RetakeSettings, only?: string): Promise<void> {
  for (const { name, url } of copyPlaces(settings)) {
    if (name === ORIGIN || (only !== undefined && only !== name)) continue
    await using store = await openStore(url, { create: true })
    await assertSuitable(store)
  }
}
