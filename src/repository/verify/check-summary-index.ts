import type { ClusterRepository } from '../cluster.ts'
import { summaryIndexKey } from '../layout.ts'
import { openSummaryIndex } from '../summary-index.ts'
import type { VerifyContext } from './context.ts'

/** Costs nothing when it is damaged: every fact in it is in a manifest too. */
export async function checkSummaryIndex(context: VerifyContext, cluster: ClusterRepository): Promise<void> {
  const facts = {
    object: summaryIndexKey(cluster.facts.name),
    cluster: cluster.facts.name,
    severity: 'warning' as const,
  }
  await context.findings.attempt(facts, () => openSummaryIndex(cluster))
}
