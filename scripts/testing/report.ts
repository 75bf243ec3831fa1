import type { FileResult } from './run-test-file.ts'

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** One line when a file is done, and everything that is known about it when it failed. */
export function describeFile(result: FileResult, position: string): string {
  const counts = [`${result.passed} passed`]
  if (result.failures.length > 0) counts.push(`${result.failures.length} failed`)
  if (result.skipped.length > 0) counts.push(`${result.skipped.length} skipped`)
  const mark = result.failures.length > 0 ? 'FAIL' : 'ok  '
  const line = `${mark} ${position} ${result.file.name}: ${counts.join(', ')} (${seconds(result.durationMs)})`
  return result.failures.length === 0 ? line : [line, ...describeFailures(result)].join('\n')
}

function describeFailures(result: FileResult): string[] {
  const lines = result.failures.flatMap(({ test, text }) => [`    ${test}`, indent(text, 8)])
  if (result.output.trim() !== '') lines.push('    It printed:', indent(result.output.trimEnd(), 8))
  return lines
}

/** What closes the run; the last line has the totals in a shape that programs read. */
export function summarize(results: readonly FileResult[], totalMs: number): string {
  const lines: string[] = ['']
  const slowest = results.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 8)
  lines.push(`${results.length} files in ${seconds(totalMs)}. Slowest:`)
  for (const result of slowest) lines.push(`    ${seconds(result.durationMs).padStart(8)}  ${result.file.name}`)

  const skipped = results.flatMap(({ file, skipped }) => skipped.map((item) => ({ file: file.name, ...item })))
  if (skipped.length > 0) lines.push('Skipped:')
  for (const { file, test, reason } of skipped) lines.push(`    ${file}: ${test}: ${reason}`)

  const failed = results.flatMap(({ file, failures }) => failures.map(({ test }) => ({ file: file.name, test })))
  if (failed.length > 0) lines.push('Failed:')
  for (const { file, test } of failed) lines.push(`    ${file === test ? file : `${file}: ${test}`}`)

  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : ''
  lines.push('', `${passed} passed, ${failed.length} failed${tail}`)
  return lines.join('\n')
}

function indent(text: string, columns: number): string {
  return text.replaceAll(/^/gm, ' '.repeat(columns))
}
