/**
 * For a storage that overwrites (`create=claim` in the address): who wants to write a name claims it first, so that between "it is
 * free" and "it is written" nobody else writes it. Needs nothing but that what is written is listed at once.
 *
 * Each puts a claim of its own under `.claims/<key>/`, then lists them. Of two that claim at the same time at least one sees the
 * other, because each has written before it lists; only who sees no other goes on. Of several, the one with the smallest name
 * waits and the others retreat.
 *
 * The fence: a holder writes only while its claim is fresh, and with a time limit; a claim counts as dead long after that, by the
 * storage's own clock. A write whose outcome is unknown leaves its claim, so that nobody else writes before it has certainly ended.
 * What remains is a storage that carries out a request minutes after its sender has given it up.
 */
import { randomInt } from 'node:crypto'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { type ClaimLimits, findObject, fullKey, type S3Place } from './s3-place.ts'
import { deleteVersion } from './s3-versions.ts'

/** Claims, as the names of what is claimed below it; a name that begins with a dot is none of the repository's. */
const CLAIMS_PREFIX = '.claims/'
const POLL_MS = 30

export const DEFAULT_CLAIM_LIMITS: ClaimLimits = { freshMs: 30_000, deadMs: 180_000 }

export interface ClaimedWrite {
  readonly key: string
  /** Tells whether an object is the one that is being written here. */
  readonly mark: string
  /** Writes without a condition; gives up after so long. */
  readonly put: (patienceMs: number) => Promise<void>
}

/** @returns false when the name was taken by another write */
export async function putClaimed(place: S3Place, write: ClaimedWrite): Promise<boolean> {
  const { freshMs } = place.claims
  for (;;) {
    const found = await findObject(place, write.key)
    if (found) return found.mark === write.mark
    const claim = await putClaim(place, write.key)
    if ((await isAlone(place, claim)) && (await findObject(place, write.key)) === undefined && isFresh(place, claim)) {
      // When this throws, the claim stays: see above.
      await write.put(freshMs)
      await release(place, claim)
      return true
    }
    await release(place, claim)
    await untilQuiet(place, write.key)
  }
}

/** Who has retreated does not claim again while others do, else many would keep each other from it. */
async function untilQuiet(place: S3Place, key: string): Promise<void> {
  const begunMs = performance.now()
  do await pause(randomInt(POLL_MS, 3 * POLL_MS))
  while (performance.now() - begunMs < place.claims.deadMs && (await listClaims(place, key)).length > 0)
}

interface Claim {
  /** What is claimed. */
  readonly key: string
  readonly claimKey: string
  readonly versionId: string | undefined
  readonly begunMs: number
}

function isFresh({ claims }: S3Place, claim: Claim): boolean {
  return performance.now() - claim.begunMs < claims.freshMs
}

async function putClaim(place: S3Place, key: string): Promise<Claim> {
  const claimKey = `${CLAIMS_PREFIX}${key}/${randomId(8)}`
  const begunMs = performance.now()
  const { VersionId } = await place.requests.run(
    { action: 'Writing', object: claimKey, permission: 's3:PutObject' },
    ({ client, signal }) =>
      client.putObject(
        { Bucket: place.location.bucket, Key: fullKey(place, claimKey), Body: Buffer.alloc(0), ContentLength: 0 },
        { abortSignal: signal },
      ),
  )
  return { key, claimKey, versionId: VersionId, begunMs }
}

/** True when nobody else claims the name; false when somebody does who goes first, or our time is over. */
async function isAlone(place: S3Place, claim: Claim): Promise<boolean> {
  while (isFresh(place, claim)) {
    const claims = await listClaims(place, claim.key)
    const own = claims.find(({ claimKey }) => claimKey === claim.claimKey)
    if (own === undefined) throw notListed(place, claim)
    const living: ListedClaim[] = []
    for (const other of claims) {
      if (other === own) continue
      if (own.atMs - other.atMs <= place.claims.deadMs) living.push(other)
      else await deleteVersion(place, other.claimKey)
    }
    if (living.length === 0) return true
    if (living.some(({ claimKey }) => claimKey < claim.claimKey)) return false
    await pause(POLL_MS)
  }
  return false
}

interface ListedClaim {
  readonly claimKey: string
  /** The storage's clock. */
  readonly atMs: number
}

async function listClaims(place: S3Place, key: string): Promise<ListedClaim[]> {
  const { location, requests } = place
  const rootBytes = fullKey(place, '').length
  const prefix = `${CLAIMS_PREFIX}${key}/`
  const page = await requests.run(
    { action: 'Listing', object: prefix, permission: 's3:ListBucket' },
    ({ client, signal }) =>
      client.listObjectsV2({ Bucket: location.bucket, Prefix: fullKey(place, prefix) }, { abortSignal: signal }),
  )
  return (page.Contents ?? []).map(({ Key = '', LastModified }) => ({
    claimKey: Key.slice(rootBytes),
    atMs: LastModified?.getTime() ?? 0,
  }))
}

async function release(place: S3Place, claim: Claim): Promise<void> {
  await deleteVersion(place, claim.claimKey, claim.versionId)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function notListed(place: S3Place, claim: Claim): RetakeError {
  return new RetakeError(
    'storage.failed',
    `Writing ${claim.key} in ${place.url} failed: what was just written is not listed, so nobody knows who else writes it.`,
    { retry: 'later', hint: 'Run the command again; if it goes on, this storage is not consistent enough.' },
  )
}
