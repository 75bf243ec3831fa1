import { globSync, readFileSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')

export interface ImportEdge {
  /** As written: `../base/errors.ts`, `node:fs`, `pg`. */
  readonly specifier: string
  /** Where a relative one leads, from the root; undefined for packages. */
  readonly target: string | undefined
  /** `static` runs when the module is loaded, `lazy` only when it is called, `address` is a worker's or a file's URL. */
  readonly kind: 'static' | 'lazy' | 'address'
}

export interface SourceModule {
  /** From the root, such as `src/base/errors.ts`. */
  readonly path: string
  readonly text: string
  /** The text without comments. */
  readonly code: string
  readonly imports: readonly ImportEdge[]
}

export function readModules(pattern: string): SourceModule[] {
  return globSync(pattern, { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      const code = stripComments(text)
      return { path, text, code, imports: importsOf(path, code) }
    })
}

/** Every test of a module against the modules it is allowed to see is made on production code. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/')
}

/** The top folder of a source file; a file right in `src` is its own layer. */
export function layerOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '')
}

const forms: readonly (readonly [ImportEdge['kind'], RegExp])[] = [
  ['static', /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g],
  ['static', /\bimport\s*['"]([^'"]+)['"]/g],
  ['lazy', /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g],
  ['address', /\bnew URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g],
  ['address', /\bworkerUrl\(\s*import\.meta\.url\s*,\s*['"]([^'"]+)['"]/g],
  ['address', /\bimport\.meta\.resolve\(\s*['"]([^'"]+)['"]/g],
]

function importsOf(path: string, code: string): ImportEdge[] {
  return forms.flatMap(([kind, form]) =>
    [...code.matchAll(form)].map(([, specifier]) => {
      const target = specifier!.startsWith('.') ? posix.join(dirname(path), specifier!) : undefined
      return {
        kind,
        specifier: specifier!,
        target: target && /\.\w+$/.test(target) ? target : target && `${target}.ts`,
      }
    }),
  )
}

/**
 * Blanks comments out and leaves strings and template literals alone. Regular expressions are not told from division,
 * which is enough here: one that holds a quote or `//` would only hide an import on the same line.
 */
export function stripComments(text: string): string {
  return text.replaceAll(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (part) => (part.startsWith('//') || part.startsWith('/*') ? part.replaceAll(/[^\n]/g, ' ') : part),
  )
}

/** The cycles among static imports, each as the list of its files. Lazy imports may point back: nothing runs at load time. */
export function findCycles(modules: readonly SourceModule[]): string[][] {
  const edges = new Map(
    modules.map(({ path, imports }) => [
      path,
      imports.filter(({ kind }) => kind === 'static').flatMap(({ target }) => (target ? [target] : [])),
    ]),
  )
  const cycles: string[][] = []
  const done = new Set<string>()
  const walk = (path: string, trail: string[]): void => {
    const begin = trail.indexOf(path)
    if (begin >= 0) {
      cycles.push([...trail.slice(begin), path])
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) walk(path, [])
  return cycles
}
