/** Kills receivers that acknowledge from a spool, and asks the repository, without the server, for everything that was acknowledged. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { sleep } from '../../src/base/abort.ts'
import { silentLogger } from '../../src/base/progress.ts'
import { type Lsn, parseLsn } from '../../src/postgres/lsn.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { readWalInventory } from '../../src/repository/wal-archive.ts'
import { ArchiveEnd } from '../../src/sources/physical/archive-end.ts'
import { keyText, spawnChild } from '../../src/sources/physical/testing/child.ts'
import { archiveEnd, readArchive } from '../../src/sources/physical/testing/read-wal.ts'
import type { Protection } from './lab.ts'

/** What the server was told: its slot has moved there, and it may forget what lies before. */
export async function acknowledgedLsn(lab: Protection): Promise<Lsn> {
  const [slot] = await lab.server.query<{ lsn: string | null }>(
    'select restart_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [lab.slot],
  )
  return parseLsn(slot?.lsn ?? '0/0')
}

/** Where the archive ends, also while it holds nothing yet. */
export async function heldLsn(lab: Protection): Promise<bigint> {
  const segmentSizeBytes = lab.cluster.facts.walSegmentSizeBytes
  const { ranges } = await readWalInventory(lab.cluster)
  const ends = ranges.map(({ beginLsn }) => parseLsn(beginLsn))
  ends.push(archiveEnd(await readArchive(lab.cluster), { timeline: 1, segmentSizeBytes }))
  return ends.reduce((a, b) => (a > b ? a : b))
}

/** Brings what the spool holds into the repository, as a receiver does before it connects. */
export async function uploadAlone(cluster: ClusterRepository, spoolDirectory: string): Promise<void> {
  await using _archive = await ArchiveEnd.open({
    cluster,
    synchronous: false,
    spoolDirectory,
    thread: false,
    logger: silentLogger,
    failed: (error) => {
      throw error
    },
  })
}

/**
 * @param options `afterMs`: of being connected, one kill each
 * @returns how many times more was acknowledged than the repository held when the receiver was dead
 */
export async function killSpooled(
  lab: Protection,
  options: { readonly spool: string; readonly afterMs: readonly number[]; readonly cluster: ClusterRepository },
): Promise<number> {
  const { spool, afterMs, cluster } = options
  const task = { url: lab.url, key: keyText(lab), cluster: cluster.facts.name, slot: lab.slot, spool }
  let ahead = 0
  for (const ms of afterMs) {
    const child = spawnChild('receive', { ...task, port: lab.server.server.port })
    const exited = once(child, 'exit')
    try {
      await waitConnected(lab)
      await sleep(ms)
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    const acknowledged = await acknowledgedLsn(lab)
    if ((await heldLsn(lab)) < acknowledged) ahead += 1
    await uploadAlone(cluster, spool)
    const held = await heldLsn(lab)
    assert.ok(held >= acknowledged, `${acknowledged} was acknowledged, and only ${held} is held`)
  }
  return ahead
}

/** Under load a receiver may never count as one that streams. */
async function waitConnected(lab: Protection): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const rows = await lab.server.query('select from pg_replication_slots where active and slot_name = $1', [lab.slot])
    if (rows.length > 0) return
    await sleep(20)
  }
  throw new Error('no receiver has connected')
}
