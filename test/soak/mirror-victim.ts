/** A process that brings a mirror up to date, and is killed. Arguments: the two places, the one whose changes count, and its death. */
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { REFERRING_KEYS } from '../../src/repository/layout.ts'
import { syncRepository } from '../../src/repository/mirrors/sync.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { openMirrored } from '../../src/storage/mirrored/mirrored-store.ts'
import { createSharedView } from '../../src/storage/mirrored/shared-view.ts'
import { openStore } from '../../src/storage/open.ts'
import { DEFAULT_TIME_LIMITS } from '../../src/storage/store-address.ts'
import { deathOf, mortal, sayBegun } from './mortal-victim.ts'

const [origin = '', north = '', counting = '', dieAt, afterwards] = process.argv.slice(2)
const death = deathOf(dieAt, afterwards)
const address = {
  copies: [
    { name: 'origin', url: origin },
    { name: 'north', url: north },
  ],
  mirrorSync: 'available',
  referring: REFERRING_KEYS,
  limits: DEFAULT_TIME_LIMITS,
  shared: createSharedView(),
} as const
const store = await openMirrored(address, {
  open: async (url) => {
    const place = await openStore(url)
    return url === counting ? mortal(place, death) : place
  },
})
await using repository = await openRepository(store, parseKeyText(process.env.SOAK_KEY ?? ''))
sayBegun()
const reports = await syncRepository({ repository, setUp: true })
// Unlike a kill, a failure that is reported is one of the soak's own making.
if (reports.some(({ outcome }) => outcome !== 'current')) {
  console.error(JSON.stringify(reports))
  process.exitCode = 1
}
