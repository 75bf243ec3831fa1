/** What lies in a spool was acknowledged: `doctor` sees it, and no key goes that it needs. */
import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { currentProcess } from '../../base/process-identity.ts'
import { openRepository } from '../../repository/repository.ts'
import { createExampleRepository } from '../../repository/testing/example-repository.ts'
import { putPosition, readPosition } from '../../repository/wal-records.ts'
import { TailWriter } from '../../repository/wal-tail.ts'
import { LocalSpool } from '../../sources/physical/local-spool.ts'
import { lookAtSpool } from '../../sources/physical/look-at-spool.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts'
import { gatherSpoolFacts, type SpoolFacts } from '../doctor/spool-facts.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { prune } from '../prune.ts'
import { reEncrypt } from './re-encrypt.ts'
import { retireKeys } from './retire-keys.ts'
import { rotateData } from './rotate-data.ts'

/** The archive of the example ends here, in segment 6 of timeline 2. */
const END = 120_000

async function setUp() {
  const temp = await temporaryDirectory()
  const store = createMemoryStore()
  const { key } = await createExampleRepository(store)
  const spool = join(temp.path, 'spool')
  const open = async () => assembleRetake(retakeSettings({ spool }), await openRepository(store, key))
  return {
    spool,
    open,
    /** As a receiver leaves it that is killed: so many bytes beyond the end of the archive. */
    async acknowledge(bytes: number, offsetBytes = END) {
      const cluster = await (await open()).cluster()
      await using _made = await LocalSpool.open(spool, cluster)
      const tail = await TailWriter.open(
        { ...cluster, store: new DirectoryStore(spool) },
        { timeline: 2, segment: 6n, offsetBytes },
      )
      await tail.append(Buffer.alloc(bytes, 7))
      await tail.sync()
      await tail.close()
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  }
}

test('a look at a spool says what only it holds, and changes nothing', async () => {
  await using stage = await setUp()
  const { spool } = stage
  const cluster = await (await stage.open()).cluster()
  assert.equal((await lookAtSpool(spool, cluster)).kind, 'absent')
  await mkdir(spool)
  assert.equal((await lookAtSpool(spool, cluster)).kind, 'empty')
  assert.deepEqual(await readdir(spool), [])

  await stage.acknowledge(5000)
  const ahead = await lookAtSpool(spool, cluster)
  assert.deepEqual(
    [ahead.kind, ahead.aheadBytes, ahead.ahead, ahead.stranded],
    ['ours', 5000, [{ timeline: 2, fromLsn: '0/61D4C0', toLsn: '0/61E848' }], []],
  )
  await rm(join(spool, 'clusters'), { recursive: true })
  await stage.acknowledge(10, END - 10)
  const held = await lookAtSpool(spool, cluster)
  assert.deepEqual([held.ahead, held.stranded], [[], []])

  await rm(join(spool, 'clusters'), { recursive: true })
  await stage.acknowledge(10, END + 10)
  assert.match((await lookAtSpool(spool, cluster)).stranded[0] ?? '', /the archive ends before it, at 0\/61D4C0/)
  await mkdir(join(spool, 'set-aside'))
  await rename(join(spool, 'clusters'), join(spool, 'set-aside', 'clusters'))
  const aside = await lookAtSpool(spool, cluster)
  assert.deepEqual([aside.stranded, aside.setAside.files], [[], 1])

  await writeFile(join(spool, 'spool.json'), '{}')
  await assert.rejects(lookAtSpool(spool, cluster), (error) => isRetakeError(error, 'config.invalid'))
})

test('doctor learns whether the place of the spool is there, what it is, and what the last receiver said', async () => {
  await using stage = await setUp()
  await using retake = await stage.open()
  const gather = (spool: string | undefined, data?: string): Promise<SpoolFacts> =>
    gatherSpoolFacts(retakeSettings({ ...(spool === undefined ? {} : { spool }) }), { retake, dataDirectory: data })
  const placeOf = async (spool: string, data?: string) => {
    const { place } = await gather(spool, data)
    assert(place && !('error' in place))
    return place
  }
  const absent = await placeOf(stage.spool, join(stage.spool, '..'))
  assert.deepEqual([absent.exists, absent.problem, absent.sharesDiskWithData], [false, undefined, true])
  await stage.acknowledge(5000)
  const there = await gather(stage.spool)
  assert(there.held && !isRetakeError(there.held))
  assert.deepEqual([there.held.aheadBytes, there.receiver], [5000, undefined])
  assert.match((await placeOf(join(stage.spool, 'spool.json'))).problem ?? '', /is no directory/)
  const under = (await gather(join(stage.spool, 'spool.json', 'x'))).place
  assert.ok(under && 'error' in under && /ENOTDIR/.test(under.error))
  const nothing = await gatherSpoolFacts(retakeSettings({ spool: stage.spool }), {
    retake: undefined,
    dataDirectory: undefined,
  })
  assert.equal(nothing.held, undefined, 'without the repository nothing is said of what it lacks')
  if (process.platform === 'linux') assert.equal((await placeOf('/dev/shm')).fileSystem, 'memory')

  assert.equal((await gather(undefined)).recorded, undefined)
  const cluster = await retake.cluster()
  const position = await readPosition(cluster)
  assert(position)
  for (const [host, acknowledgedLsn, isHere, ahead] of [
    [currentProcess().host, 'F/0', true, true],
    ['elsewhere', position.flushLsn, false, false],
  ] as const) {
    await putPosition(cluster, { ...position, spool: { host, acknowledgedLsn } })
    assert.deepEqual((await gather(undefined)).recorded, { host, isHere, ahead })
  }
})

test('a key stays while the spool holds what it seals, on its way or set aside, or a spool that is not seen may', async () => {
  await using stage = await setUp()
  await stage.acknowledge(5000)
  await rotateData(await stage.open())
  await reEncrypt(await stage.open()).result
  await prune(await stage.open(), { graceHours: 0, policy: { days: 3650 } }).result
  const retire = async (spoolDirectory?: string) => {
    const [first] = await retireKeys(await stage.open(), { graceMs: 0, dryRun: true, spoolDirectory })
    return { outcome: first?.outcome, because: first?.because ?? '' }
  }
  const spooled = await retire()
  assert.equal(spooled.outcome, 'in-use')
  assert.ok(spooled.because.includes(`--spool ${stage.spool} --until-caught-up`), spooled.because)
  assert.equal((await retire(join(stage.spool, '..', 'another'))).outcome, 'retired', 'it looks where it is told to')
  await mkdir(join(stage.spool, 'set-aside'))
  await rename(join(stage.spool, 'clusters'), join(stage.spool, 'set-aside', 'clusters'))
  assert.match((await retire()).because, /set-aside holds WAL that it seals/)
  await rm(join(stage.spool, 'set-aside'), { recursive: true })
  assert.equal((await retire()).outcome, 'retired')
  await stage.acknowledge(5000)
  assert.equal((await retire()).outcome, 'retired', 'the newest key seals what is spooled now')

  const cluster = await (await stage.open()).cluster()
  const position = await readPosition(cluster)
  assert(position)
  await putPosition(cluster, { ...position, spool: { host: 'db2', acknowledgedLsn: 'F/0' } })
  assert.match((await retire()).because, /a spool on db2 may hold WAL of "main"/)
  await putPosition(cluster, { ...position, spool: { host: 'db2', acknowledgedLsn: position.flushLsn } })
  assert.equal((await retire()).outcome, 'retired')
})
