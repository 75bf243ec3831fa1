/** Objects that nothing refers to, or that are none of Retake's. */
import { isRetakeError } from '../../base/errors.ts'
import { COPIES_PREFIX } from '../../storage/mirrored/copy-record.ts'
import { isCondemnedName } from '../condemned.ts'
import { isHoldName } from '../holds.ts'
import { parseProofKey } from '../keys/kit-proof.ts'
import {
  clusterFactsKey,
  epochPrefix,
  isBackupId,
  lastVerificationKey,
  leasePrefix,
  PACKS_PREFIX,
  packIdPrefix,
  packKey,
  parseEpochKey,
  parseJournalKey,
  parseManifestName,
  parsePackKey,
  REPOSITORY_KEY,
  summaryIndexKey,
} from '../layout.ts'
import { leaseRoles, readLeaseHolder } from '../lease.ts'
import { isReaderName } from '../readers.ts'
import { parseWalKey, walPrefix } from '../wal-layout.ts'
import type { VerifyContext } from './context.ts'

/**
 * @param packsInUse ids of the packs that the manifests read before name. Packs and manifests written meanwhile are told from
 * unused ones by the records of the backups that have begun.
 */
export async function checkUnused(context: VerifyContext, packsInUse: ReadonlySet<string>): Promise<void> {
  const { repository, findings } = context
  const { store } = repository
  const unused = new Set<string>()
  const runs = new Set<string>()
  for await (const { key } of store.list('')) {
    context.progress({ phase: 'unused objects', done: 0, unit: 'objects' })
    const packId = parsePackKey(key)
    if (packId !== undefined && !packsInUse.has(packId)) unused.add(packId)
    if (packId === undefined && !isKnown(key)) {
      findings.add({ object: key, severity: 'warning', problem: 'it is not an object of Retake; nothing reads it' })
    }
  }
  // Listed after the packs: a backup records that it begins before it writes its first pack.
  for (const cluster of await repository.listClusters()) {
    for await (const { key } of store.list(`clusters/${cluster}/runs/`)) {
      // What has failed has left nothing.
      if (!key.endsWith('.failed')) runs.add(key.split('/')[3]?.split('.')[0] ?? '')
    }
    await checkLeases(context, cluster)
  }
  // A manifest that could not be read may be the one that refers to a pack.
  if (findings.all.some(({ severity, object }) => severity === 'error' && mayHideUse(object))) return
  const running = new Set([...runs].filter(isBackupId).map(packIdPrefix))
  for (const packId of unused) {
    const isOfRun = running.has(packId.slice(0, 8))
    findings.add({
      object: packKey(packId),
      severity: isOfRun ? 'notice' : 'warning',
      problem: isOfRun
        ? 'it belongs to a backup that is not complete'
        : 'no backup refers to it; it only takes up space',
    })
  }
}

function mayHideUse(object: string): boolean {
  return /^clusters\/[^/]+\/(backups\/|keys\/|cluster$)/.test(object)
}

async function checkLeases(context: VerifyContext, name: string): Promise<void> {
  const { repository, findings } = context
  for (const role of leaseRoles) {
    const facts = { object: leasePrefix(name, role), cluster: name, severity: 'warning' as const }
    await findings.attempt(facts, async () => {
      try {
        await readLeaseHolder(await repository.openCluster(name), { role })
      } catch (error) {
        // The cluster itself cannot be opened: recorded where it was tried first.
        if (isRetakeError(error, 'cluster.missing') || isRetakeError(error, 'cluster.shredded')) return
        if (findings.has(clusterFactsKey(name))) return
        throw error
      }
    })
  }
}

/** Whether a key is one that Retake makes. */
export function isKnown(key: string): boolean {
  if (key === REPOSITORY_KEY || key.startsWith(COPIES_PREFIX)) return true
  if (key.startsWith(PACKS_PREFIX)) return false
  if (/^keys\/[0-9a-f]{16}\.(json|receipt|removed)$/.test(key) || parseProofKey(key) !== undefined) return true
  const [folder, cluster = '', kind, name = ''] = key.split('/')
  if (folder !== 'clusters') return false
  if (key === clusterFactsKey(cluster)) return true
  if (key.startsWith(epochPrefix(cluster))) return parseEpochKey(cluster, key) !== undefined
  if (kind === 'runs') return isBackupId(name.replace(/\.(begun|done|failed|rewrite)$/, ''))
  if (kind === 'backups') return parseManifestName(name) !== undefined
  if (kind === 'condemned') return isCondemnedName(name)
  if (kind === 'shred') return name === 'begun' || name === 'done'
  if (kind === 'holds') return isHoldName(name)
  if (kind === 'verified') return isBackupId(name) || key === lastVerificationKey(cluster)
  if (kind === 'drills') return isBackupId(name)
  if (key === summaryIndexKey(cluster)) return true
  if (kind === 'journal') return parseJournalKey(cluster, key) !== undefined
  if (kind === 'readers') return isReaderName(name)
  if (kind === 'leases') return leaseRoles.some((role) => name === role) && /\/[0-9A-F]{16}$/.test(key)
  return key.startsWith(walPrefix(cluster)) && parseWalKey(cluster, key) !== undefined
}
