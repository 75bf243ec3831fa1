/** Where the tablespaces of a restored cluster go. Never to their original place unless asked: it may be in use (R9). */
import path from 'node:path'
import { RetakeError } from '../base/errors.ts'
import type { TablespaceInfo } from '../repository/manifest.ts'

export interface PlacedTablespace {
  readonly oid: number
  readonly originalLocation: string
  readonly location: string
}

/**
 * @param options.map by oid (`16385`) or by original location (`/mnt/fast`); without an entry a tablespace goes beside the
 * target, to `<targetDirectory>.tablespaces/<oid>`
 * @throws RetakeError `config.invalid` when an entry names no tablespace of the backup, or its place is not usable
 */
export function placeTablespaces(
  tablespaces: readonly TablespaceInfo[],
  options: { readonly targetDirectory: string; readonly map: Readonly<Record<string, string>> },
): PlacedTablespace[] {
  const { targetDirectory, map } = options
  const keys = new Set(tablespaces.flatMap((one) => [String(one.oid), one.location]))
  const unknown = Object.keys(map).find((key) => !keys.has(key))
  if (unknown !== undefined) {
    const known = tablespaces.map((one) => `${one.oid} (${one.location})`).join(', ')
    throw new RetakeError('config.invalid', `The backup has no tablespace "${unknown}".`, {
      hint: known === '' ? 'It has none at all; leave --tablespace-map out.' : `It has: ${known}.`,
    })
  }
  return tablespaces.map(({ oid, location: originalLocation }) => {
    const asked = map[String(oid)] ?? map[originalLocation]
    const location =
      asked === undefined ? path.join(`${targetDirectory}.tablespaces`, String(oid)) : path.resolve(asked)
    requireOutside(location, targetDirectory)
    return { oid, originalLocation, location }
  })
}

/** PostgreSQL itself warns of tablespaces inside the data directory: they would be backed up twice. */
function requireOutside(location: string, targetDirectory: string): void {
  const relative = path.relative(targetDirectory, location)
  if (relative.startsWith('..') || path.isAbsolute(relative)) return
  throw new RetakeError(
    'config.invalid',
    `The place for a tablespace, ${location}, lies inside the target directory.`,
    {
      hint: 'Choose a directory outside of it with --tablespace-map.',
    },
  )
}
