/** What says which objects stay and which go: superseded manifests, condemnations, holds, records of verification and of drills. */
import type { ClusterRepository } from '../cluster.ts'
import { listLeftNotes, readCondemned } from '../condemned.ts'
import { listDrills } from '../drills.ts'
import { readHolds } from '../holds.ts'
import { manifestKey } from '../layout.ts'
import { listManifests } from '../manifest-revisions.ts'
import { openRevision, readManifestEntries } from '../manifest-store.ts'
import { readVerified } from '../verified.ts'
import type { VerifyContext } from './context.ts'

export async function checkRetention(context: VerifyContext, cluster: ClusterRepository): Promise<void> {
  const { findings } = context
  const { name } = cluster.facts
  const warn = (error: { readonly message: string }, object: string) =>
    findings.add({
      object,
      severity: 'warning',
      cluster: name,
      problem: error.message.replace(/^\S+ is damaged: /, '').replace(/\.$/, ''),
    })
  await readHolds(cluster, { onDamage: warn })
  await readVerified(cluster, { onDamage: warn })
  for await (const _record of listDrills(cluster, { onDamage: warn })) context.progress(drills)
  await checkRevisions(context, cluster)
  const { records } = await readCondemned(cluster, { onDamage: warn })
  for (const { key, backups, packs, condemnedAt } of records) {
    const problem = `it gives up ${backups.length} backups and ${packs.length} packs since ${condemnedAt}; \`retake prune\` deletes them when their time of grace is over`
    findings.add({ object: key, severity: 'notice', cluster: name, problem })
  }
  for (const object of await listLeftNotes(cluster))
    findings.add({ object, severity: 'notice', cluster: name, problem: 'it belongs to a record that is gone' })
}

/** A manifest that was replaced is of no use any more, but it must not hide that what replaced it has gone. */
async function checkRevisions(context: VerifyContext, cluster: ClusterRepository): Promise<void> {
  const { name } = cluster.facts
  const manifests = await listManifests(cluster)
  const condemned = await readCondemned(cluster, { onDamage: () => {} })
  for (const [backupId, revisions] of manifests) {
    if (condemned.backups.has(backupId)) continue
    const newest = revisions.at(-1) ?? 0
    if (condemned.revisions.has(`${backupId}.${newest}`)) {
      const object = manifestKey(name, backupId, newest + 1)
      const problem = `it is missing, though it had replaced revision ${newest}`
      context.findings.add({ object, problem, cluster: name, backups: [backupId] })
    }
    for (const revision of revisions.slice(0, -1)) await checkReplaced(context, cluster, { backupId, revision })
  }
}

async function checkReplaced(
  context: VerifyContext,
  cluster: ClusterRepository,
  place: { readonly backupId: string; readonly revision: number },
): Promise<void> {
  const object = manifestKey(cluster.facts.name, place.backupId, place.revision)
  const facts = { object, cluster: cluster.facts.name }
  await context.findings.attempt({ ...facts, severity: 'warning' }, async () => {
    const manifest = await openRevision(cluster, place)
    if (manifest === undefined) return
    for await (const _entry of readManifestEntries(manifest)) context.progress(superseded)
    const problem = 'a newer revision has replaced it; `retake prune` removes it'
    context.findings.add({ ...facts, severity: 'notice', problem })
  })
}

const drills = { phase: 'drills', done: 0, unit: 'objects' } as const
const superseded = { phase: 'manifests', done: 0, unit: 'objects' } as const
