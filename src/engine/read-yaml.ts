/** YAML, of which JSON is a part. A module of its own, so that it is loaded only where there is a file; a quarter of what a command would load otherwise. */
import { parse, YAMLError } from 'yaml'

/** `place`: it is none, and where that shows, for people, because the parser's own message quotes what may be a secret. */
export function readYaml(text: string): { readonly value: unknown } | { readonly place: string } {
  try {
    return { value: parse(text) }
  } catch (error) {
    if (!(error instanceof YAMLError)) throw error
    const position = error.linePos?.[0]
    return { place: position ? ` (line ${position.line}, column ${position.col})` : '' }
  }
}
