import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'

const source = resolve(import.meta.dirname, '../../src/base/error-codes.ts')

const retryWords = {
  never: 'something must change first',
  later: 'trying again later may help',
  always: 'can be tried again at once',
} as const

/** `docs/errors.md`: every error code, its exit status, and the comment that documents it. */
export function renderErrorReference(): string {
  const comments = readComments(readFileSync(source, 'utf8'))
  const codes = Object.keys(errorCodes) as ErrorCode[]
  return [
    '# Errors',
    '<!-- Made from src/base/error-codes.ts by `npm run docs`; change it there. -->',
    'Every failure has a code, a sentence that says what failed and what it means for recoverability, and usually a hint with the ' +
      'next step. With `--json` all of it is in `error`; the library throws a `RetakeError` with the same fields. A script should ' +
      'look at the code or the exit status, never at the text, and take a status it does not know for a failure.',
    ['| code | exit | again? | what it means |', '|---|---|---|---|', ...codes.map((code) => row(code, comments))].join(
      '\n',
    ),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n')
}

function row(code: ErrorCode, comments: ReadonlyMap<string, string>): string {
  const comment = comments.get(code)
  if (comment === undefined) throw new Error(`the error code ${code} has no comment`)
  const { exit, retry } = errorCodes[code]
  return `| \`${code}\` | ${exit} | ${retryWords[retry]} | ${comment.replaceAll('|', '\\|')} |`
}

function readComments(text: string): Map<string, string> {
  const entries = text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:'([\w.-]+)'|(\w+)): \{ exit/g)
  return new Map(
    [...entries].map(([, comment, quoted, bare]) => [
      (quoted ?? bare) as string,
      (comment ?? '').replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim(),
    ]),
  )
}
