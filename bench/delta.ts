/** Delta restore: a restored directory in which 1 % of all pages were changed since, put right again. */
import { closeSync, globSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Command, measure } from '../test/support/measure.ts'
import type { Case, Tools } from './cases.ts'
import type { Lab } from './lab.ts'

const PAGE_BYTES = 8192
const CHANGED_SHARE = 0.01
/** How changes lie: each page by itself anywhere, or many beside each other, as where rows are added or a batch is worked through. */
const PATTERNS = [
  { name: 'single pages anywhere', runPages: 1 },
  { name: 'stretches of 64 pages', runPages: 64 },
] as const

/** From the backups that the last round of the full backups left; a table for each pattern. */
export function deltaTables(lab: Lab, tools: Tools): { readonly title: string; readonly cases: readonly Case[] }[] {
  const { level, retake, pgBackRest } = tools
  const places = { count: 0 }
  const restoreArgs = (to: string) => ['restore', 'apply', '--at', 'latest', '--to', to, '--no-start', '--quiet']
  return PATTERNS.map(({ name, runPages }) => {
    const caseOf = (tool: string, way: Way) => deltaCase(lab, { name: tool, way, places, runPages })
    const cases = [
      caseOf(`retake --delta, zstd ${level}`, {
        fill: (to) => retake.command(restoreArgs(to)),
        repair: (to) => retake.command([...restoreArgs(to), '--delta', '--no-undo', '--confirm', basename(to)]),
      }),
    ]
    if (pgBackRest) {
      const peer = `pgBackRest --delta, zstd ${level}, process-max ${lab.cores}`
      cases.push(
        caseOf(peer, { fill: (to) => pgBackRest.restore(to), repair: (to) => pgBackRest.restore(to, ['--delta']) }),
      )
    }
    return { title: `Delta restore: 1 % of the pages changed, ${name}`, cases }
  })
}

interface Way {
  readonly fill: (to: string) => Command
  readonly repair: (to: string) => Command
}

function deltaCase(
  lab: Lab,
  options: { readonly name: string; readonly way: Way; readonly places: { count: number }; readonly runPages: number },
): Case {
  const { name, way, places, runPages } = options
  let to = ''
  return {
    name,
    async prepare() {
      places.count += 1
      to = await lab.fresh(`delta-${places.count}`)
      await measure(way.fill(to))
      changePages(to, { runPages, seed: places.count })
    },
    commands: () => [way.repair(to)],
  }
}

/** Turns bytes of so many pages of tables and indexes over; the places depend on the seed alone. */
function changePages(directory: string, options: { readonly runPages: number; readonly seed: number }): void {
  const files = globSync('base/*/*', { cwd: directory })
    .filter((file) => /^\d+(\.\d+)?$/.test(basename(file)))
    .map((file) => join(directory, file))
    .sort()
  const pages = files.map((file) => Math.floor(statSync(file).size / PAGE_BYTES))
  const total = pages.reduce((sum, count) => sum + count, 0)
  const runs = Math.ceil((total * CHANGED_SHARE) / options.runPages)
  // A linear congruential generator (Numerical Recipes): the same everywhere.
  let state = options.seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  for (let run = 0; run < runs; run += 1) {
    let at = Math.floor(next() * total)
    let file = 0
    while (at >= (pages[file] ?? 0)) at -= pages[file++] ?? 0
    changeRun(files[file] ?? '', { first: at, count: Math.min(options.runPages, (pages[file] ?? 0) - at) })
  }
}

function changeRun(file: string, run: { readonly first: number; readonly count: number }): void {
  const descriptor = openSync(file, 'r+')
  const bytes = Buffer.alloc(run.count * PAGE_BYTES)
  readSync(descriptor, bytes, 0, bytes.length, run.first * PAGE_BYTES)
  for (let at = 0; at < bytes.length; at += PAGE_BYTES)
    bytes.writeUInt32LE(~bytes.readUInt32LE(at + 4096) >>> 0, at + 4096)
  writeSync(descriptor, bytes, 0, bytes.length, run.first * PAGE_BYTES)
  closeSync(descriptor)
}
