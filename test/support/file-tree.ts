/** Two data directories, file by file. */
import { createHash } from 'node:crypto'
import { type Dirent, globSync, lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { join, relative } from 'node:path'

export interface TreeDifference {
  readonly path: string
  readonly problem: string
}

/** Type, permission bits and content of everything below `root`, symbolic links by their target. */
export function readTree(root: string): Map<string, string> {
  const entries = globSync('**/*', {
    cwd: root,
    withFileTypes: true,
    exclude: (entry: Dirent | string) => typeof entry !== 'string' && entry.isSymbolicLink(),
  })
  const tree = new Map<string, string>()
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    const info = lstatSync(path)
    const mode = (info.mode & 0o7777).toString(8)
    const what = info.isSymbolicLink()
      ? `link to ${readlinkSync(path)}`
      : info.isDirectory()
        ? `directory ${mode}`
        : `file ${mode}, ${info.size} bytes, ${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)}`
    tree.set(relative(root, path), what)
  }
  return tree
}

/** What differs, apart from paths for which `ignored` is true. */
export function compareTrees(expected: string, actual: string, ignored: (path: string) => boolean): TreeDifference[] {
  const left = readTree(expected)
  const right = readTree(actual)
  const differences: TreeDifference[] = []
  for (const path of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    if (ignored(path) || left.get(path) === right.get(path)) continue
    differences.push({ path, problem: `${left.get(path) ?? 'absent'} became ${right.get(path) ?? 'absent'}` })
  }
  return differences
}
