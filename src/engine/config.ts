/**
 * Configuration: flags win over environment, environment over file. What cannot be used is refused by name, never ignored:
 * an option that silently does nothing is how a backup turns out not to exist.
 */
import { readFile } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { type Config, type ConfigOptionName, optionEntries } from './config-options.ts'
import { parseOptionValue } from './config-schema.ts'
import { nearest } from './nearest.ts'

/** Looked for in the working directory, in this order; two at once are refused. */
export const CONFIG_FILE_NAMES = ['retake.config.yaml', 'retake.config.json'] as const

export type ConfigSource = 'flag' | 'environment' | 'file'

export interface ResolvedConfig {
  readonly config: Config
  /** Where each option that is set came from. */
  readonly sources: Readonly<Partial<Record<ConfigOptionName, ConfigSource>>>
  /** The file that was read, if any. */
  readonly file?: string | undefined
}

export interface ResolveConfigOptions {
  /** Values from the command line; undefined ones count as not given. */
  readonly flags?: Readonly<Partial<Record<ConfigOptionName, unknown>>> | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
  /** `--config`; above `RETAKE_CONFIG`, and both above the working directory. A file that was named must exist. */
  readonly file?: string | undefined
  /** The directory to look in and to which a relative path on the command line refers. */
  readonly directory: string
}

/**
 * Reads the configuration file, the environment and the flags into one.
 * @throws RetakeError `config.invalid` for an unreadable file, an unknown key (naming the nearest known one) or a bad value
 */
export async function resolveConfig(options: ResolveConfigOptions): Promise<ResolvedConfig> {
  const env = options.env ?? {}
  const found = await findConfigFile(options.file ?? nonEmpty(env.RETAKE_CONFIG), options.directory)
  const config: Record<string, unknown> = {}
  const sources: Partial<Record<ConfigOptionName, ConfigSource>> = {}

  if (found) {
    for (const [name, value] of Object.entries(await parseConfigFile(found.text, found.file))) {
      config[name] = value
      sources[name as ConfigOptionName] = 'file'
    }
  }
  for (const [name, option] of optionEntries()) {
    const variable = [option.env, option.envFallback ?? ''].find((one) => nonEmpty(env[one]) !== undefined)
    if (variable !== undefined) {
      config[name] = checked(name, env[variable], variable)
      sources[name] = 'environment'
    }
    const fromFlag = options.flags?.[name]
    if (fromFlag !== undefined) {
      config[name] = checked(name, fromFlag, option.flag?.split(' ')[0] ?? name)
      sources[name] = 'flag'
    }
  }
  return { config: config as Config, sources, file: found?.file }
}

/**
 * The options of a configuration file's text (YAML, of which JSON is a part).
 * @throws RetakeError `config.invalid`
 */
export async function parseConfigFile(text: string, file: string): Promise<Config> {
  const { readYaml } = await import('./read-yaml.ts')
  const read = readYaml(text)
  if ('place' in read) {
    throw new RetakeError('config.invalid', `${file} is not valid YAML or JSON${read.place}.`, {
      hint: 'Correct the file at that place. Nothing was done.',
    })
  }
  const document = read.value
  if (document === null || document === undefined) return {}
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new RetakeError('config.invalid', `${file} must hold options, one "name: value" on each line.`, {
      hint: 'See docs/configuration.md for the options.',
    })
  }
  const config: Record<string, unknown> = {}
  const known = optionEntries()
  for (const [name, value] of Object.entries(document)) {
    if (name === '$schema' || value === null) continue
    const option = known.find(([candidate]) => candidate === name)?.[1]
    if (!option) throw unknownKey(name, file)
    if (option.environmentOnly) {
      throw new RetakeError(
        'config.invalid',
        `${file} must not hold "${name}": a secret in that file is read by too many.`,
        {
          hint: `Set the environment variable ${option.env}, or use ${name === 'supabaseToken' ? 'supabaseTokenCommand' : 'keyFile or keyCommand'}.`,
        },
      )
    }
    config[name] = checked(name as ConfigOptionName, value, `"${name}" in ${file}`)
  }
  return config as Config
}

async function findConfigFile(
  named: string | undefined,
  directory: string,
): Promise<{ readonly file: string; readonly text: string } | undefined> {
  if (named !== undefined) {
    const file = isAbsolute(named) ? named : resolve(directory, named)
    const text = await readIfPresent(file)
    if (text === undefined) {
      throw new RetakeError('config.invalid', `There is no configuration file ${file}.`, {
        hint: 'Correct --config or RETAKE_CONFIG, or leave it out.',
      })
    }
    return { file, text }
  }
  const present: { file: string; text: string }[] = []
  for (const name of CONFIG_FILE_NAMES) {
    const file = join(directory, name)
    const text = await readIfPresent(file)
    if (text !== undefined) present.push({ file, text })
  }
  if (present.length > 1) {
    throw new RetakeError('config.invalid', `${directory} has both ${CONFIG_FILE_NAMES.join(' and ')}.`, {
      hint: 'Keep one of them, or name it with --config.',
    })
  }
  return present[0]
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw new RetakeError(
      'config.invalid',
      `${file} could not be read (${systemErrorCode(error) ?? 'unknown error'}).`,
      {
        hint: 'Make the file readable for this user, or name another with --config.',
        cause: error,
      },
    )
  }
}

function checked(name: ConfigOptionName, value: unknown, where: string): unknown {
  const result = parseOptionValue(name, value)
  if ('value' in result) return result.value
  const example = optionEntries().find(([candidate]) => candidate === name)?.[1].example
  // The value is not repeated: it may be a secret that was put in the wrong place.
  throw new RetakeError('config.invalid', `${where} has a value that cannot be used: ${result.problem}.`, {
    hint: `Write it like this: ${example}`,
    details: { option: name },
  })
}

function unknownKey(name: string, file: string): RetakeError {
  const candidate = nearest(
    name,
    optionEntries().map(([known]) => known),
  )
  return new RetakeError('config.invalid', `${file} has the option "${name}", which Retake does not know.`, {
    hint: candidate ? `Did you mean "${candidate}"?` : 'See docs/configuration.md for the options.',
    details: { option: name, ...(candidate ? { nearest: candidate } : {}) },
  })
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value
}
