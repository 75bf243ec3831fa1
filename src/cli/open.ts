/** From the command line's flags, the environment and the configuration file to an opened repository. */
import { resolveConfig } from '../engine/config.ts'
import { type ConfigOptionName, optionEntries } from '../engine/config-options.ts'
import { openRetake, type Retake, type RetakeOptions } from '../engine/open.ts'
import type { CommandContext, OptionValues } from './command.ts'
import { askHidden } from './prompt.ts'

export async function openFromCommandLine(context: CommandContext): Promise<Retake> {
  return openRetake(await retakeOptions(context))
}

/** What {@link openRetake} and `initialise` take, as configured. @throws RetakeError `config.invalid` */
export async function retakeOptions(context: CommandContext): Promise<RetakeOptions> {
  const { env, directory, global, terminal, clock, signal } = context
  const { config, file } = await resolveConfig({
    flags: configFlags(global),
    env,
    directory,
    file: typeof global.config === 'string' ? global.config : undefined,
  })
  if (file !== undefined) terminal.logger.debug(`Configuration file: ${file}`)
  return {
    ...config,
    env,
    directory,
    configFile: file,
    logger: terminal.logger,
    clock,
    signal,
    askPassphrase: context.interactive ? () => askHidden('Passphrase: ', signal) : undefined,
  }
}

/** The global flags that are options of the configuration, by the option's name. */
export function configFlags(global: OptionValues): Partial<Record<ConfigOptionName, unknown>> {
  const flags: Partial<Record<ConfigOptionName, unknown>> = {}
  for (const [name, option] of optionEntries()) {
    const long = option.flag && /^--([a-z-]+)/.exec(option.flag)?.[1]
    if (!long) continue
    const property = long.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
    flags[name] = global[property]
  }
  return flags
}
