/**
 * A process that works on keys, and is killed. Arguments: the repository, what it does, and its death. The text of a new key comes in the
 * environment, as the one that opens the repository does.
 */
import { assembleRetake, retakeSettings } from '../../src/engine/open.ts'
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { openStore } from '../../src/storage/open.ts'
import { deathOf, mortal, sayBegun } from './mortal-victim.ts'
import { doKeyWork, type KeyWork, NEW_KEY_VARIABLE } from './rekey-work.ts'

const [url = '', work = '', dieAt, afterwards] = process.argv.slice(2)
const store = mortal(await openStore(url), deathOf(dieAt, afterwards))
const repository = await openRepository(store, parseKeyText(process.env.SOAK_KEY ?? ''))
const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
sayBegun()
await doKeyWork(retake, work as KeyWork, process.env[NEW_KEY_VARIABLE] ?? '')
