/** Nothing is promised about keys that a copy of the repository keeps, or may keep. */
import { RetakeError } from '../base/errors.ts'
import type { HeldVersion, KeyCopy } from './key-copies.ts'

export interface KeysOf {
  readonly cluster: string
  /** `before`: nothing was changed yet. `begun`: the cluster counts as shredded, and its keys are there. */
  readonly phase: 'before' | 'begun'
}

/**
 * @throws RetakeError `storage.locked` while a copy keeps a key, with `details.until` when the last retention ends; else why a copy could not
 * be asked, with its code
 */
export function assertKeysCanGo(copies: readonly KeyCopy[], { cluster, phase }: KeysOf): void {
  const keeping = copies.filter(({ held }) => held.length > 0)
  const silent = copies.filter(({ unknown }) => unknown !== undefined)
  if (keeping.length === 0 && silent.length === 0) return
  const held = keeping.flatMap((copy) => copy.held)
  const until = held
    .flatMap((one) => one.until ?? [])
    .sort()
    .at(-1)
  const rest =
    phase === 'before'
      ? 'Nothing was changed.'
      : 'Its shredding has begun and is not complete: nobody opens it, but its keys are still there.'
  const said = [...keeping.map(describeHeld), ...silent.map(describeUnknown)].join(' ')
  const what = until === undefined ? 'cannot be shredded now' : `cannot be shredded before ${until}`
  const [first] = silent
  throw new RetakeError(
    keeping.length > 0 ? 'storage.locked' : (first?.unknown?.code ?? 'storage.failed'),
    `"${cluster}" ${what}. ${said} ${rest}`,
    {
      hint: [...hintsOf(held), ...silent.flatMap(({ unknown }) => unknown?.hint ?? CAN_BE_ASKED)].join(' '),
      retry: 'never',
      details: { cluster, until, object: held[0]?.object, copies: copies.map(toDetails) },
      cause: first?.unknown,
    },
  )
}

/** After the deletion. @throws RetakeError `storage.denied` when something is left, else as {@link assertKeysCanGo} */
export function assertKeysGone(copies: readonly KeyCopy[], cluster: string): void {
  assertKeysCanGo(copies, { cluster, phase: 'begun' })
  const left = copies.filter(({ objects }) => objects.length > 0)
  if (left.length === 0) return
  const said = left
    .map((copy) => `${nameOf(copy)} still stores ${copy.versions} versions of ${copy.objects.join(', ')}.`)
    .join(' ')
  throw new RetakeError(
    'storage.denied',
    `The shredding of "${cluster}" is not complete: its keys were deleted, but ${said} Who may read versions and has a key of the repository can still read its backups.`,
    {
      hint: `Allow s3:DeleteObjectVersion there, then run it again: retake keys shred ${cluster} --yes ${cluster}`,
      details: { cluster, copies: left.map(toDetails) },
    },
  )
}

const CAN_BE_ASKED = 'Run it again when every copy can be asked.'

function hintsOf(held: readonly HeldVersion[]): string[] {
  const hints: string[] = []
  if (held.some(({ legalHold }) => legalHold))
    hints.push('Have whoever placed a legal hold take it away (s3:PutObjectLegalHold).')
  if (held.some(({ until }) => until !== undefined))
    hints.push('Each backup locks the keys anew: make no further one of this cluster, and run it again then.')
  return hints
}

function describeHeld(copy: KeyCopy): string {
  const objects = copy.held.map(({ object, versionId, until, legalHold }) => {
    const how = [
      ...(until === undefined ? [] : [`locked until ${until}`]),
      ...(legalHold ? ['under a legal hold'] : []),
    ]
    return `${object}${versionId === undefined ? '' : ` (version ${versionId})`} ${how.join(' and ')}`
  })
  return `${nameOf(copy)} keeps ${objects.join('; ')}.`
}

function describeUnknown(copy: KeyCopy): string {
  const { unknown } = copy
  return `What ${nameOf(copy)} keeps is not known: ${unknown?.message}`
}

function nameOf({ copy, url }: KeyCopy): string {
  if (copy === undefined) return `${url}`
  return url === undefined ? `"${copy}"` : `"${copy}" (${url})`
}

function toDetails({ copy, url, objects, versions, held, unknown }: KeyCopy) {
  return {
    copy,
    url,
    objects,
    versions,
    held,
    ...(unknown ? { unknown: { code: unknown.code, message: unknown.message } } : {}),
  }
}
