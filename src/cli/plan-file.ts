/** Plans as files: written by a `plan` command, read by its `apply`. */
import { readFile, writeFile } from 'node:fs/promises'
import { RetakeError, systemErrorCode } from '../base/errors.ts'

/** @returns the file @throws RetakeError `config.invalid` */
export async function writePlanFile(file: string, plan: object): Promise<string> {
  try {
    await writeFile(file, `${JSON.stringify(plan, undefined, 2)}\n`)
    return file
  } catch (error) {
    throw new RetakeError(
      'config.invalid',
      `The plan could not be written to ${file} (${systemErrorCode(error) ?? 'unknown error'}).`,
      {
        hint: 'Name a file in a directory that you may write.',
        cause: error,
      },
    )
  }
}

/**
 * The file of `--out`, or what the `plan` command printed with `--json`; not yet checked.
 * @param hint how such a plan is made
 * @throws RetakeError `config.invalid`
 */
export async function readPlanFile(file: string, hint: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new RetakeError(
      'config.invalid',
      `The plan ${file} could not be read (${systemErrorCode(error) ?? 'unknown error'}).`,
      { hint, cause: error },
    )
  }
  try {
    const value = JSON.parse(text) as { plan?: unknown } | null
    return value?.plan ?? value
  } catch (cause) {
    throw new RetakeError('config.invalid', `${file} is not JSON, so it is no plan.`, { hint, cause })
  }
}
