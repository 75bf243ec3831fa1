/** Option values of the command line as what they mean. */
import { resolve } from 'node:path'
import { RetakeError } from '../base/errors.ts'

type Value = string | boolean | readonly string[] | undefined

export function optionText(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A path as seen from `directory`. */
export function optionPath(value: Value, directory: string): string | undefined {
  return typeof value === 'string' ? resolve(directory, value) : undefined
}

/** @throws RetakeError `config.invalid` */
export function optionInteger(
  value: Value,
  option: { readonly name: string; readonly min: number; readonly max: number },
): number | undefined {
  if (typeof value !== 'string') return undefined
  const number = Number(value)
  if (/^\d+$/.test(value) && number >= option.min && number <= option.max) return number
  throw new RetakeError('config.invalid', `${option.name} takes a whole number from ${option.min} to ${option.max}.`, {
    hint: `Correct ${option.name} ${value}.`,
  })
}

/** A number that need not be whole. @throws RetakeError `config.invalid` */
export function optionNumber(
  value: Value,
  option: { readonly name: string; readonly min: number; readonly max: number },
): number | undefined {
  if (typeof value !== 'string') return undefined
  const number = Number(value)
  if (/^\d+(\.\d+)?$/.test(value) && number >= option.min && number <= option.max) return number
  throw new RetakeError('config.invalid', `${option.name} takes a number from ${option.min} to ${option.max}.`, {
    hint: `Correct ${option.name} ${value}.`,
  })
}

/** `['a=1', 'b=2=3']` as a record; everything after the first `=` is the value. @throws RetakeError `config.invalid` */
export function optionPairs(value: Value, name: string): Record<string, string> | undefined {
  if (typeof value !== 'object') return undefined
  const pairs = value.map((pair): [string, string] => {
    const at = pair.indexOf('=')
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
    throw new RetakeError('config.invalid', `${name} ${pair} has no "=".`, { hint: `Write it as ${name} left=right.` })
  })
  return Object.fromEntries(pairs)
}

/** @throws RetakeError `config.invalid` */
export function requireOption(value: Value, option: { readonly name: string; readonly hint: string }): string {
  const text = optionText(value)
  if (text !== undefined) return text
  throw new RetakeError('config.invalid', `${option.name} is missing.`, { hint: option.hint })
}
