/** The scenario of `recovery.pg.test.ts` and of the soak: so many moments, so many restores to each kind of target. */
import { sleep } from '../../src/base/abort.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { startTraffic } from '../../src/demo/cinetrack/traffic.ts'
import { compareDigests, digestDatabase, STEPS_UNDER_WAY } from '../../src/demo/content-digest.ts'
import { amcheck } from '../support/amcheck.ts'
import { digestSchema } from '../support/digest.ts'
import { type Protection, protect, waitArchived } from '../support/lab.ts'
import { type Moment, prepareMoments, recordMoment, type TargetKind, targetKinds } from '../support/moments.ts'
import { startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { installTpcb, startTpcb } from '../support/tpcb.ts'

export interface RecoveryScenario {
  readonly major: number
  readonly moments: number
  readonly restoresPerKind: number
  readonly scale: number
  /** Default: the clock's. */
  readonly seed?: number | undefined
  readonly onRestore?: ((line: string) => void) | undefined
}

export interface RecoveryOutcome {
  readonly seed: number
  readonly restores: number
  /** Empty when every restore was exact and sound. */
  readonly problems: readonly string[]
}

export async function runRecoveryScenario(scenario: RecoveryScenario): Promise<RecoveryOutcome> {
  const { major, seed = Date.now() % 1_000_000 } = scenario
  const random = new Random(seed)
  await using server = await startTestServer({ major, settings: { checkpoint_timeout: '30s' } })
  await installCineTrack({ target: server.target, scale: scenario.scale })
  await installTpcb(server.target, 5_000)
  await prepareMoments(server)
  await using protection = await protect(server)
  await using receiver = protection.receive()
  const moments: Moment[] = []
  {
    await using traffic = await startTraffic({
      target: server.target,
      scale: scenario.scale,
      connections: 3,
      transactionsPerSecond: 300,
    })
    await using tpcb = await startTpcb({ target: server.target, accounts: 5_000, transactionsPerSecond: 200 })
    await sleep(300)
    // Both ways to read a server, each on some majors.
    await protection.backUp({ via: major % 2 === 0 ? 'replication' : 'files' })
    for (let number = 1; number <= scenario.moments; number++) {
      await sleep(random.between(50, 400))
      moments.push(await recordMoment(server, [traffic, tpcb], number))
      // Now and then a checkpoint or another segment lies between a moment and the next.
      if (random.chance(0.3)) await server.query('checkpoint')
      if (random.chance(0.3)) await server.query('select pg_switch_wal()')
    }
    // A time target needs a transaction after it.
    await sleep(200)
    if (traffic.committed.length < 20) throw new Error(`the traffic did not flow: ${traffic.lastError}`)
  }
  await waitArchived(server)
  await receiver.stop()
  const schema = await digestSchema(server)
  const problems: string[] = []
  let restores = 0
  for (const kind of targetKinds) {
    for (let i = 0; i < scenario.restoresPerKind; i++) {
      const moment = random.pick(moments)
      const found = await restoreAndCompare(protection, { moment, kind, schema })
      restores += 1
      problems.push(...found)
      scenario.onRestore?.(
        `PostgreSQL ${major}, ${moment.targets[kind]}: ${found.length === 0 ? 'exact' : found.join('; ')}`,
      )
    }
  }
  return { seed, restores, problems }
}

async function restoreAndCompare(
  protection: Protection,
  wanted: {
    readonly moment: Moment
    readonly kind: TargetKind
    readonly schema: Awaited<ReturnType<typeof digestSchema>>
  },
): Promise<string[]> {
  const { moment, kind, schema } = wanted
  const at = moment.targets[kind]
  await using restored = await restore(protection, { at })
  // A time is the only target that replay passes: on to the next commit, over what the traffic logs after the pause.
  const stepsUnderWay = kind === 'time' ? STEPS_UNDER_WAY : 0n
  const problems = compareDigests(moment.contentAt(kind), await digestDatabase(restored), { stepsUnderWay }).map(
    ({ object, problem }) => `${at}: ${object} ${problem}`,
  )
  const found = await digestSchema(restored)
  for (const name of new Set([...Object.keys(schema), ...Object.keys(found)])) {
    if (schema[name] !== found[name]) problems.push(`${at}: definition of ${name} differs`)
  }
  const { findings, heapsChecked, indexesChecked } = await amcheck(restored)
  if (heapsChecked < 50 || indexesChecked < 100)
    problems.push(`${at}: amcheck looked at ${heapsChecked} heaps and ${indexesChecked} indexes only`)
  return [...problems, ...findings.map((finding) => `${at}: amcheck: ${finding}`)]
}
