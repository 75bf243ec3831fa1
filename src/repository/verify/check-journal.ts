import type { ClusterRepository } from '../cluster.ts'
import { journalChunkName, listJournalChunks, openJournalChunk } from '../journal-chunks.ts'
import { readFrames } from '../read-frames.ts'
import type { VerifyContext } from './context.ts'

/** Costs nothing when it is damaged: everything in it is in the WAL too. */
export async function checkJournal(context: VerifyContext, cluster: ClusterRepository): Promise<void> {
  for (const id of await listJournalChunks(cluster)) {
    const facts = {
      object: journalChunkName(cluster, id).key,
      cluster: cluster.facts.name,
      severity: 'warning' as const,
    }
    await context.findings.attempt(facts, async () => {
      const chunk = await openJournalChunk(cluster, id)
      if (chunk && context.depth === 'deep') for await (const _frame of readFrames(chunk));
    })
    context.progress({ phase: 'journal', done: 0, unit: 'objects' })
  }
}
