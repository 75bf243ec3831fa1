/**
 * Which objects are written once and kept, so that Object Lock is for them: whatever a restore needs. What comes and goes (leases,
 * the open segment's tail, the position, marks of runs and deletions) must stay deletable. The names are those of
 * docs/design/repository-format.md; `src/repository/retained-keys.test.ts` holds the two together.
 */
const RETAINED: readonly RegExp[] = [
  /^retake\.json$/,
  /^keys\/[^/]+\.(?:json|receipt|removed)$/,
  /^packs\//,
  /^clusters\/[^/]+\/cluster$/,
  /^clusters\/[^/]+\/(?:backups|shred)\//,
  /^clusters\/[^/]+\/keys\/[0-9A-F]{8}(?:\.retired)?$/,
  /^clusters\/[^/]+\/wal\/history\//,
  /^clusters\/[^/]+\/wal\/[0-9A-F]{8}\/(?:ranges\/)?[0-9A-F]{16}(?:\.partial)?$/,
]

export function isRetainedKey(key: string): boolean {
  return RETAINED.some((pattern) => pattern.test(key))
}
