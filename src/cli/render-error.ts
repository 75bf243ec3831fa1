import type { RetakeError } from '../base/errors.ts'

/** What failed and what it means, the next step, the code; with `--verbose` also what lies beneath. */
export function renderError(error: RetakeError, options: { readonly verbose: boolean }): string {
  const lines = [`retake: ${error.message}`]
  if (error.hint) lines.push(`  next: ${error.hint}`)
  lines.push(`  code: ${error.code}`)
  if (options.verbose || error.code === 'internal') lines.push(...causes(error))
  return lines.join('\n')
}

function causes(error: RetakeError): string[] {
  const lines: string[] = []
  let cause: unknown = error.cause
  // A cycle of causes would be a defect; ten are more than anyone reads.
  for (let depth = 0; cause instanceof Error && depth < 10; depth++) {
    lines.push(`  because: ${cause.stack ?? cause.message}`)
    cause = cause.cause
  }
  return lines
}
