/** The spool before a real bucket: receivers are killed, and what they acknowledged is there without asking the server. */
import { describe, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect } from '../../../test/support/lab.ts'
import { startTestServer } from '../../../test/support/postgres.ts'
import { makeBucket, s3Missing } from '../../../test/support/s3.ts'
import { killSpooled } from '../../../test/support/spool-kills.ts'
import { startLoad } from '../../../test/support/wal-load.ts'
import { assertWholeLog } from '../../../test/support/whole-log.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'
import { receiveWal } from './receiver.ts'

describe('a spool before a bucket', { skip: s3Missing }, () => {
  test('a killed receiver has lost nothing that it acknowledged, and the bucket gets it without a hole', async () => {
    const { url } = await makeBucket()
    const key = generateKey()
    {
      await using _repository = await createRepository(url, key)
    }
    await using server = await startTestServer({ walSegmentSizeMb: 1, settings: { wal_keep_size: '1GB' } })
    await using lab = await protect(server, { into: { url, key } })
    const { cluster, slot } = lab
    const spool = lab.temp.join('spool')
    {
      await using _load = startLoad(server, { pauseMs: 50 })
      await killSpooled(lab, { spool, afterMs: [800], cluster })
    }
    await receiveWal({ cluster, target: server.target, slot, spoolDirectory: spool, until: { kind: 'caught-up' } })
    await assertWholeLog(lab)
  })
})
