/**
 * A process that prunes, and is killed: at a moment that its parent chooses, or by itself at one change of the storage. Says
 * `begun` when everything is loaded and open, so that kills fall into the work.
 */
import { assembleRetake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { openStore } from '../../src/storage/open.ts'
import { MortalStore } from '../../src/storage/testing/mortal-store.ts'

const [url = '', count = '1', dieAt, afterwards] = process.argv.slice(2)
const store = await openStore(url)
const die = () => void process.kill(process.pid, 'SIGKILL')
const mortal =
  dieAt === undefined ? store : new MortalStore(store, { at: Number(dieAt), afterwards: afterwards === 'true', die })
const repository = await openRepository(mortal, parseKeyText(process.env.SOAK_KEY ?? ''))
const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
process.stdout.write('begun\n')
await prune(retake, { policy: { days: 0, count: Number(count) }, graceHours: 0 }).result
