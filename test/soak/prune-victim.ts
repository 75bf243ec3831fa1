/** A process that prunes, and is killed. Arguments: the repository, how many backups to keep, and its death. */
import { assembleRetake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { openStore } from '../../src/storage/open.ts'
import { deathOf, mortal, sayBegun } from './mortal-victim.ts'

const [url = '', count = '1', dieAt, afterwards] = process.argv.slice(2)
const store = mortal(await openStore(url), deathOf(dieAt, afterwards))
const repository = await openRepository(store, parseKeyText(process.env.SOAK_KEY ?? ''))
const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
sayBegun()
await prune(retake, { policy: { days: 0, count: Number(count) }, graceHours: 0 }).result
