/** Where a path of a manifest belongs on this machine. */
import path from 'node:path'
import { RetakeError } from '../base/errors.ts'
import type { PlanPlace } from './plan-types.ts'

export class EntryPaths {
  readonly #targetDirectory: string
  readonly #tablespaces: ReadonlyMap<string, string>

  constructor(place: PlanPlace) {
    this.#targetDirectory = place.targetDirectory
    this.#tablespaces = new Map(place.tablespaces.map((one) => [String(one.oid), one.location]))
  }

  /** @throws RetakeError `repo.damaged` when the path leads out of the data directory */
  locate(entryPath: string): string {
    const parts = entryPath.split('/')
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new RetakeError(
        'repo.damaged',
        `The manifest names the path "${entryPath}", which is not one inside a data directory.`,
      )
    }
    const [first, second = '', ...rest] = parts
    const tablespace = first === 'pg_tblspc' ? this.#tablespaces.get(second) : undefined
    return tablespace === undefined ? path.join(this.#targetDirectory, ...parts) : path.join(tablespace, ...rest)
  }

  /** A link is made only when it stays inside: another server may be using what a link to the outside leads to. */
  staysInside(link: string, target: string): boolean {
    const inside = path.relative(this.#targetDirectory, path.resolve(path.dirname(link), target))
    return !path.isAbsolute(target) && !inside.startsWith('..')
  }
}
