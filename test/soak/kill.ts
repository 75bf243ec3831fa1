/**
 * Done-when 4: `kill -9` of backup, receiver, restore and server at random times. Never a wrong or half-visible backup, never an
 * acknowledged byte lost; with a synchronous receiver every confirmed transaction survives the loss of the server's directory.
 */
import { rm } from 'node:fs/promises'
import { sleep } from '../../src/base/abort.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { restore, stopServer } from '../support/restore.ts'
import { audit, checkAcknowledged, checkBackups, checkLeftDirectory, missingMarks, postmasterOf } from './checks.ts'
import { Stage } from './stage.ts'

export interface KillSoakOptions {
  readonly kills: number
  readonly major: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface KillSoakOutcome {
  readonly seed: number
  readonly kills: Readonly<Record<Victim, number>>
  readonly backups: number
  readonly audits: number
  readonly problems: readonly string[]
}

const victims = ['backup', 'receiver', 'restore', 'server', 'lost-server'] as const
export type Victim = (typeof victims)[number]

/** A round of the fifth kind costs a server of its own, so it is rarer. */
const LOST_SERVER_SHARE = 0.05
const KILLS_BETWEEN_AUDITS = 20

export async function runKillSoak(options: KillSoakOptions): Promise<KillSoakOutcome> {
  const { seed, say } = options
  const random = new Random(seed, 0x6b696c6c)
  const tally: Tally = {
    kills: { backup: 0, receiver: 0, restore: 0, server: 0, 'lost-server': 0 },
    audits: 0,
    problems: [],
  }
  const known = new Set<string>()
  const lostServers = Math.max(1, Math.round(options.kills * LOST_SERVER_SHARE))
  await killOnOneStage({ ...options, kills: options.kills - lostServers }, { random, known, tally })
  for (let i = 1; i <= lostServers; i++) {
    const found = await loseServer({ ...options, seed: seed + i, random })
    tally.kills['lost-server'] += 1
    tally.problems.push(...found.map((problem) => `lost server ${i}: ${problem}`))
    say(`lost server ${i} of ${lostServers}: ${found.join('; ') || 'every confirmed transaction is there'}`)
  }
  return { seed, ...tally, backups: known.size }
}

interface Tally {
  readonly kills: Record<Victim, number>
  audits: number
  readonly problems: string[]
}

async function killOnOneStage(
  options: KillSoakOptions,
  state: { readonly random: Random; readonly known: Set<string>; readonly tally: Tally },
): Promise<void> {
  const { major, seed, say } = options
  const { random, known, tally } = state
  await using stage = await Stage.open({
    major,
    seed,
    say,
    scale: 0.05,
    synchronous: false,
    transactionsPerSecond: 150,
  })
  const first = await stage.start(['backup']).ended
  if (first.code !== 0) throw new Error(`the first backup failed: ${first.stdout}${first.stderr}`)
  const total = () => Object.values(tally.kills).reduce((sum, count) => sum + count, 0)
  for (let audited = 0; audited < options.kills; ) {
    const victim = pickVictim(random)
    const round = await rounds[victim]({ stage, random })
    tally.kills[victim] += round.kills
    const found = [...round.problems, ...(await checkAcknowledged(stage)), ...(await checkBackups(stage, known))]
    tally.problems.push(...found.map((problem) => `after kill ${total()} (${victim}): ${problem}`))
    say(
      [`${total()}: ${victim}`, ...(round.kills === 0 ? ['ended before it could be killed'] : []), ...found].join('; '),
    )
    if (total() - audited < KILLS_BETWEEN_AUDITS && total() < options.kills) continue
    audited = total()
    tally.audits += 1
    const differences = await audit(stage)
    tally.problems.push(...differences.map((problem) => `audit after kill ${total()}: ${problem}`))
    say(`audit after ${stage.traffic.committed.length} transactions: ${differences.join('; ') || 'exact'}`)
  }
}

interface Round {
  readonly stage: Stage
  readonly random: Random
}

interface RoundOutcome {
  /** 0 when the victim had ended before its time came. */
  readonly kills: number
  readonly problems: readonly string[]
}

const rounds: Readonly<Record<Exclude<Victim, 'lost-server'>, (round: Round) => Promise<RoundOutcome>>> = {
  backup: killBackup,
  receiver: killReceiver,
  restore: killRestore,
  server: killServer,
}

function pickVictim(random: Random): Exclude<Victim, 'lost-server'> {
  return random.pick(['backup', 'backup', 'receiver', 'receiver', 'restore', 'server'])
}

async function killBackup({ stage, random }: Round): Promise<RoundOutcome> {
  const run = stage.start(['backup'])
  const ended = await Promise.race([run.ended, sleep(random.between(100, 3_000)).then(() => undefined)])
  if (ended)
    return {
      kills: 0,
      problems: ended.code === 0 ? [] : [`a backup that nobody killed failed: ${ended.stdout}${ended.stderr}`],
    }
  run.kill()
  await run.ended
  return { kills: 1, problems: [] }
}

async function killReceiver({ stage, random }: Round): Promise<RoundOutcome> {
  await sleep(random.between(0, 1_500))
  const { receiver } = stage
  if (!receiver) return { kills: 0, problems: [] }
  receiver.kill()
  await receiver.ended
  return { kills: 1, problems: [] }
}

async function killServer({ stage, random }: Round): Promise<RoundOutcome> {
  await sleep(random.between(0, 800))
  await stage.server.kill()
  await stage.server.restart()
  return { kills: 1, problems: [] }
}

/** Every second time the same restore is run again into what the killed one left, and must be exact. */
async function killRestore({ stage, random }: Round): Promise<RoundOutcome> {
  const directory = stage.temp.join(`restored-${random.next()}`)
  const args = ['restore', 'apply', '--at', 'latest', '--to', directory, '--set', 'fsync=off']
  const run = stage.start(args)
  const ended = await Promise.race([run.ended, sleep(random.between(100, 4_000)).then(() => undefined)])
  run.kill()
  await run.ended
  const problems = [...checkLeftDirectory(directory)]
  if (ended && ended.code !== 0) problems.push(`a restore that nobody killed failed: ${ended.stdout}${ended.stderr}`)
  const left = postmasterOf(directory)
  if (left !== undefined) await stopServer(left)
  if (!ended && random.chance(0.5)) problems.push(...(await restoreAgain(stage, { directory, args })))
  await rm(directory, { recursive: true, force: true })
  return { kills: ended ? 0 : 1, problems }
}

async function restoreAgain(
  stage: Stage,
  target: { readonly directory: string; readonly args: readonly string[] },
): Promise<string[]> {
  const again = await stage.start(target.args).ended
  const pid = postmasterOf(target.directory)
  if (pid !== undefined) await stopServer(pid)
  // A restore that was killed after its end has left a whole server, which is not overwritten.
  if (again.code === 0 || /finished restore/.test(again.stdout)) return []
  return [`the restore could not be run again: ${again.stdout}${again.stderr}`]
}

/** A commit that has returned is in the archive: the server's processes are killed and its directory deleted in the middle of traffic. */
async function loseServer(options: {
  readonly major: number
  readonly seed: number
  readonly random: Random
  readonly say: (line: string) => void
}): Promise<string[]> {
  const { random } = options
  await using stage = await Stage.open({ ...options, scale: 0.02, synchronous: true })
  const backup = await stage.start(['backup']).ended
  if (backup.code !== 0) return [`the backup failed: ${backup.stdout}${backup.stderr}`]
  await sleep(random.between(300, 2_000))
  // Half of the time the receiver dies with the server.
  if (random.chance(0.5)) stage.receiver?.kill()
  await stage.server.kill()
  await rm(stage.server.dataDir, { recursive: true, force: true })
  await stage.stopReceiver()
  await stage.traffic.stop()
  if (stage.traffic.committed.length === 0) return [`no transaction was confirmed: ${stage.traffic.lastError}`]
  await using restored = await restore(stage, { at: 'latest' })
  return await missingMarks(stage, restored)
}
