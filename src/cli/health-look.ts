/** What `retake health` and `retake metrics` have in common: whose health, how patiently, and compared with what. */
import { readFile } from 'node:fs/promises'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import type { RetakeOptions } from '../engine/open.ts'
import { type Observation, readObservation } from '../monitor/checks/observation.ts'
import type { CommandContext, OptionValues } from './command.ts'
import { retakeOptions } from './open.ts'
import { optionInteger } from './options.ts'

/** The configured cluster. A passphrase is asked for before the time limits begin: a person types slower than a repository opens. */
export async function healthSubject(context: CommandContext): Promise<RetakeOptions> {
  const options = await retakeOptions(context)
  const { key, keyFile, keyCommand, kmsKey, passphrase, repo, askPassphrase } = options
  const isGiven = [key, keyFile, keyCommand, kmsKey, passphrase].some((one) => one !== undefined)
  if (isGiven || repo === undefined || !askPassphrase) return options
  const text = await askPassphrase()
  return { ...options, askPassphrase: undefined, ...(text === '' ? {} : { passphrase: text }) }
}

export function healthLimitMs(options: OptionValues): number {
  return (optionInteger(options.timeout, { name: '--timeout', min: 1, max: 3600 }) ?? 10) * 1000
}

/** What an earlier look saw. @throws RetakeError `config.invalid` */
export async function readEarlier(file: string): Promise<Observation> {
  const observation = await readEarlierIfThere(file)
  if (observation) return observation
  throw wrong(file, 'does not exist')
}

/** Undefined: there is no such file yet. @throws RetakeError `config.invalid` */
export async function readEarlierIfThere(file: string): Promise<Observation | undefined> {
  let report: unknown
  try {
    report = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw wrong(file, 'cannot be read', error)
  }
  const observation = readObservation(report)
  if (!observation) throw wrong(file, 'holds no observation of a server')
  return observation
}

function wrong(file: string, why: string, cause?: unknown): RetakeError {
  return new RetakeError('config.invalid', `${file} ${why}.`, {
    hint: 'Name what an earlier `retake health --json` printed, or `retake metrics --observation` wrote.',
    cause,
  })
}
