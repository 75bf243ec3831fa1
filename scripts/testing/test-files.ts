import { globSync } from 'node:fs'
import { relative } from 'node:path'

/** What a test needs, told by its suffix; also the order in which kinds run: what fails fastest comes first, and what mostly waits (s3) before what computes. */
export const testKinds = ['pure', 'prop', 'prom', 'fault', 's3', 'pg'] as const
export type TestKind = (typeof testKinds)[number]

export interface TestFile {
  readonly path: string
  /** Relative to the root, with forward slashes. */
  readonly name: string
  readonly kind: TestKind
}

export function kindOf(name: string): TestKind {
  const suffix = /\.(prop|prom|fault|pg|s3)\.test\.ts$/.exec(name)?.[1]
  return testKinds.find((kind) => kind === suffix) ?? 'pure'
}

/** The test files below the root's `src`, `test` and `examples` whose name contains any of the filters (all, when there are none). */
export function findTestFiles(root: string, filters: readonly string[]): TestFile[] {
  const files = globSync('{src,test,examples}/**/*.test.ts', { cwd: root })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  return orderTestFiles(
    files.map((name) => ({ path: `${root}/${name}`, name: relative(root, `${root}/${name}`), kind: kindOf(name) })),
  )
}

/** By kind; files of one kind beside the sources come before the others. */
export function orderTestFiles(files: readonly TestFile[]): TestFile[] {
  const rank = (file: TestFile) => testKinds.indexOf(file.kind) * 2 + (file.name.startsWith('src/') ? 0 : 1)
  return files.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}
