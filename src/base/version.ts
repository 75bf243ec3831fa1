import { readFileSync } from 'node:fs'

/** The version of this package. Reads its `package.json`, two levels up both from `src/base` and from `dist/base`. */
export function retakeVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version: unknown }).version)
}
