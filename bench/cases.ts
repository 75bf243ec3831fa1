/** What is measured: for each job the ways to do it, each with what makes it start from nothing. */
import { type Command, type Cost, measure } from '../test/support/measure.ts'
import { bytesBelow, inside, type Lab, settle } from './lab.ts'
import { type PgBackRest, pgBaseBackup } from './peers.ts'
import type { Restic } from './restic.ts'
import type { RetakeSetup } from './retake.ts'

export interface Case {
  readonly name: string
  /** Not timed. */
  prepare(): Promise<void>
  /** Timed, one after the other. */
  commands(): readonly Command[]
  /** What it left in its repository. */
  storedBytes?(): Promise<number>
  /** Ends what `prepare` began. Not timed. */
  finish?(): Promise<void>
}

export interface Sample extends Cost {
  readonly storedBytes?: number | undefined
}

/** Runs the cases round robin, so that whatever else the machine does falls on all of them alike. */
export async function runInterleaved(
  lab: Lab,
  cases: readonly Case[],
  options: { readonly repeat: number; say(line: string): void },
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(cases.map((one) => [one.name, []]))
  for (let round = 1; round <= options.repeat; round++) {
    for (const one of cases) {
      await one.prepare()
      await settle(lab)
      const cost = sum(await runAll(one.commands(), lab.server.server.pid))
      await one.finish?.()
      const storedBytes = await one.storedBytes?.()
      samples.get(one.name)?.push({ ...cost, storedBytes })
      options.say(
        `round ${round}: ${one.name}: ${(cost.wallMs / 1_000).toFixed(2)} s, ${(cost.cpuMs / 1_000).toFixed(2)} s CPU`,
      )
    }
  }
  return samples
}

async function runAll(commands: readonly Command[], serverPid: number): Promise<Cost[]> {
  const costs: Cost[] = []
  for (const command of commands) costs.push(await measure(command, serverPid))
  return costs
}

function sum(costs: readonly Cost[]): Cost {
  return {
    wallMs: costs.reduce((total, one) => total + one.wallMs, 0),
    cpuMs: costs.reduce((total, one) => total + one.cpuMs, 0),
    serverCpuMs: costs.reduce((total, one) => total + one.serverCpuMs, 0),
    peakRssBytes: Math.max(...costs.map((one) => one.peakRssBytes)),
  }
}

export interface Tools {
  readonly level: number
  readonly retake: RetakeSetup
  /** At its default level. */
  readonly retakeDefault: RetakeSetup
  readonly pgBackRest: PgBackRest | undefined
  /** The same, prepared for increments. */
  readonly pgBackRestBlocks: PgBackRest | undefined
  readonly restic: Restic | undefined
}

export function backupCases(lab: Lab, tools: Tools): Case[] {
  const { level, pgBackRest, restic } = tools
  const ours = (name: string, setup: RetakeSetup): Case => ({
    name,
    prepare: () => setup.reset(),
    commands: () => [setup.command(['backup', '--quiet'])],
    storedBytes: () => bytesBelow(setup.repo),
  })
  const baseBackup = (name: string, format?: readonly string[]): Case => {
    const to = lab.directory.join('basebackup')
    return {
      name,
      prepare: async () => void (await lab.fresh('basebackup')),
      // It fsyncs what it wrote, as the others do.
      commands: () => [pgBaseBackup(lab, { to, ...(format ? { format } : {}) })],
      storedBytes: () => bytesBelow(to),
    }
  }
  return [
    ours(`retake, zstd ${level}, AES-256-GCM`, tools.retake),
    ...(pgBackRest
      ? [
          {
            name: `pgBackRest, zstd ${level}, AES-256-CBC, process-max ${lab.cores}, bundle`,
            prepare: () => pgBackRest.reset(),
            commands: () => [pgBackRest.backup()],
            storedBytes: () => bytesBelow(pgBackRest.repo),
          },
        ]
      : []),
    ...(lab.hasBaseBackup
      ? [
          baseBackup(`pg_basebackup, server-zstd ${level}, workers ${lab.cores}, no encryption`, [
            '-Ft',
            '-Z',
            `server-zstd:level=${level},workers=${lab.cores}`,
          ]),
        ]
      : []),
    ...(restic
      ? [
          {
            name: 'pg_basebackup into restic',
            prepare: () => restic.reset(),
            commands: () => [restic.backup()],
            storedBytes: () => bytesBelow(restic.repo),
          },
        ]
      : []),
    ...(lab.hasBaseBackup ? [baseBackup('pg_basebackup, plain files')] : []),
    ours('retake, default level, AES-256-GCM', tools.retakeDefault),
  ]
}

/** From the backup that the last round of {@link backupCases} left; the files are laid out and durable, nothing is started. */
export function restoreCases(lab: Lab, tools: Tools): Case[] {
  const { level, pgBackRest, restic } = tools
  let count = 0
  let to = ''
  // A directory of its own for each: ext4 passes over inodes that were freed less than a minute ago, one by one.
  const prepare = async () => {
    count += 1
    to = lab.directory.join(`restored-${count}`)
  }
  const ours = (name: string, setup: RetakeSetup): Case => ({
    name,
    prepare,
    commands: () => [setup.command(['restore', 'apply', '--at', 'latest', '--to', to, '--no-start', '--quiet'])],
  })
  // Some tools want the directory to exist.
  const prepareEmpty = async () => {
    await prepare()
    await lab.fresh(`restored-${count}`)
  }
  const plain = lab.directory.join('basebackup')
  return [
    ours(`retake, zstd ${level}, AES-256-GCM`, tools.retake),
    ...(pgBackRest
      ? [
          {
            name: `pgBackRest, zstd ${level}, AES-256-CBC, process-max ${lab.cores}, bundle`,
            prepare: prepareEmpty,
            commands: () => [pgBackRest.restore(to)],
          },
        ]
      : []),
    ...(restic
      ? [{ name: 'restic into tar, then sync', prepare: prepareEmpty, commands: () => [restic.restore(to)] }]
      : []),
    ...(lab.hasBaseBackup
      ? [
          {
            name: 'cp of plain files, then sync',
            prepare,
            commands: () => [
              { program: 'cp', args: ['-a', plain, to] },
              { program: 'sync', args: [] },
            ],
          },
        ]
      : []),
    ours('retake, default level, AES-256-GCM', tools.retakeDefault),
  ]
}

export function archiveDirectory(lab: Lab): string {
  return inside(lab.directory.path, 'archive')
}
