/**
 * `npm run soak [-- kill|targets|tables|memory|prune|increments|catalog|files|mirror|rekey|serve|week|calm|clusters …]`: what takes too long for `npm test`. Without a name all of them run.
 *
 *     npm run soak -- kill --kills 200 --seed 7 --major 17
 *     npm run soak -- targets --restores 20 --major 16
 *     npm run soak -- tables --restores 50
 *     npm run soak -- memory --gib 4
 *     npm run soak -- prune --kills 300
 *     npm run soak -- mirror --kills 300
 *     npm run soak -- rekey --kills 300
 *     npm run soak -- serve --rounds 5
 *     npm run soak -- week
 *     npm run soak -- calm --minutes 60
 *     npm run soak -- clusters --clusters 1000
 *     npm run soak -- increments --count 100 --major 17
 *     npm run soak -- catalog --backups 10000 --segments 1000000
 *     npm run soak -- files --files 100000
 *     npm run soak -- --short
 *
 * The seed is printed; with the same seed the same victims are chosen at the same times, as far as the machine allows.
 */
import { parseArgs } from 'node:util'
import { runRecoveryScenario } from '../e2e/recovery-scenario.ts'
import { anyMajor, postgresMajors } from '../support/postgres.ts'
import { runBadWeek } from './bad-week.ts'
import { runCalmSoak } from './calm.ts'
import { measureCatalog } from './catalog.ts'
import { runIncrementSoak } from './increments.ts'
import { runKillSoak } from './kill.ts'
import { measureClusters } from './many-clusters.ts'
import { measureManyFiles } from './many-files.ts'
import { measureMemory } from './memory.ts'
import { runMirrorSoak } from './mirror.ts'
import { runPruneSoak } from './prune.ts'
import { runRekeySoak } from './rekey.ts'
import { runServeSoak } from './serve.ts'
import { runTablesSoak } from './tables.ts'

const SHORT = {
  kills: '24',
  restores: '2',
  gib: ['0.25', '1'],
  count: '10',
  backups: '1000',
  segments: '100000',
  files: '10000',
  rounds: '1',
  minutes: '1',
  clusters: '100',
}

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Default 200; of pruning, replication and work on keys 300. */
    kills: { type: 'string' },
    /** Default 20; of single tables 50. */
    restores: { type: 'string' },
    gib: { type: 'string', multiple: true, default: ['1', '4'] },
    /** Increments. */
    count: { type: 'string', default: '100' },
    backups: { type: 'string', default: '10000' },
    segments: { type: 'string', default: '1000000' },
    files: { type: 'string', default: '100000' },
    /** Of each death of a server. */
    rounds: { type: 'string', default: '3' },
    /** Of ordinary traffic. */
    minutes: { type: 'string', default: '60' },
    clusters: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    major: { type: 'string' },
    /** A few minutes' worth of each: what is run before a change lands. */
    short: { type: 'boolean', default: false },
  },
})

const values = given.short ? { ...given, ...SHORT, major: given.major ?? String(anyMajor()) } : given
const ALL = [
  'kill',
  'targets',
  'tables',
  'memory',
  'prune',
  'increments',
  'catalog',
  'files',
  'mirror',
  'rekey',
  'serve',
  'week',
  'calm',
  'clusters',
]
const wanted = new Set(positionals.length > 0 ? positionals : ALL)
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
const begunMs = performance.now()
const problems: string[] = []

function say(line: string): void {
  console.log(`${((performance.now() - begunMs) / 1_000).toFixed(0).padStart(6)} s  ${line}`)
}

function conclude(name: string, found: readonly string[]): void {
  problems.push(...found.map((problem) => `${name}: ${problem}`))
  say(`${name}: ${found.length === 0 ? 'nothing wrong' : `${found.length} PROBLEMS`}`)
}

say(`seed ${seed}`)
if (wanted.has('kill')) {
  const major = values.major === undefined ? anyMajor() : Number(values.major)
  const outcome = await runKillSoak({ kills: Number(values.kills ?? 200), major, seed, say })
  say(`kills: ${JSON.stringify(outcome.kills)}; ${outcome.backups} backups, ${outcome.audits} audits`)
  conclude('kill', outcome.problems)
}
if (wanted.has('targets')) {
  const majors = values.major === undefined ? postgresMajors() : [Number(values.major)]
  for (const major of majors) {
    const restoresPerKind = Number(values.restores ?? 20)
    const outcome = await runRecoveryScenario({
      major,
      seed,
      restoresPerKind,
      moments: restoresPerKind,
      scale: 0.2,
      onRestore: say,
    })
    say(`PostgreSQL ${major}: ${outcome.restores} restores`)
    conclude(`targets ${major}`, outcome.problems)
  }
}
if (wanted.has('tables')) {
  const majors = values.major === undefined ? postgresMajors() : [Number(values.major)]
  for (const major of majors) {
    const targets = given.short ? 6 : Number(values.restores ?? 50)
    conclude(`tables ${major}`, await runTablesSoak({ major, targets, seed, say }))
  }
}
for (const [name, soak] of [
  ['prune', runPruneSoak],
  ['mirror', runMirrorSoak],
  ['rekey', runRekeySoak],
] as const) {
  if (!wanted.has(name)) continue
  const outcome = await soak({ kills: Number(values.kills ?? 300), seed, say })
  say(`kills: ${JSON.stringify(outcome.kills)}; ${outcome.survived} ended before; ${outcome.backups} backups`)
  conclude(name, outcome.problems)
}
if (wanted.has('serve')) {
  const major = values.major === undefined ? anyMajor() : Number(values.major)
  const outcome = await runServeSoak({ major, rounds: Number(values.rounds), short: values.short, say })
  say(`serve: ${outcome.kills} kills, ${outcome.inTheMiddle} of them in the middle of the backup`)
  conclude('serve', outcome.problems)
}
if (wanted.has('week')) {
  const major = values.major === undefined ? anyMajor() : Number(values.major)
  conclude('week', await runBadWeek({ major, say }))
}
if (wanted.has('calm')) {
  const major = values.major === undefined ? anyMajor() : Number(values.major)
  conclude('calm', await runCalmSoak({ major, minutes: Number(values.minutes), say }))
}
if (wanted.has('clusters')) {
  conclude('clusters', await measureClusters({ clusters: Number(values.clusters), say }))
}
if (wanted.has('increments')) {
  const majors = values.major === undefined ? postgresMajors() : [Number(values.major)]
  for (const major of majors)
    conclude(`increments ${major}`, await runIncrementSoak({ major, count: Number(values.count), seed, say }))
}
if (wanted.has('memory')) conclude('memory', await measureMemory({ gib: values.gib.map(Number), say }))
if (wanted.has('catalog')) {
  const size = { backups: Number(values.backups), segments: Number(values.segments) }
  conclude('catalog', await measureCatalog({ ...size, say }))
}
if (wanted.has('files')) conclude('files', await measureManyFiles({ files: Number(values.files), say }))

for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
