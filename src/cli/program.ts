/** Reads the command line by the table of commands. Nothing runs here: the result says what was asked for. */
import { Command, CommanderError, Option } from 'commander'
import { RetakeError } from '../base/errors.ts'
import { nearest } from '../engine/nearest.ts'
import type { CommandDeclaration, CommandOption, OptionValues } from './command.ts'
import { commandGroups, commands } from './command-table.ts'
import { allGlobalOptions, renderCommandHelp, renderGroupHelp, renderProgramHelp } from './help.ts'

export type Parsed =
  | {
      readonly kind: 'run'
      readonly declaration: CommandDeclaration
      readonly args: readonly (string | undefined)[]
      readonly options: OptionValues
      readonly global: OptionValues
    }
  /** Help or the version was asked for. */
  | { readonly kind: 'print'; readonly text: string }
  /** A group was named without a command of it. */
  | { readonly kind: 'incomplete'; readonly text: string }

/** @throws RetakeError `config.invalid` when the command line cannot be understood */
export function parseCommandLine(argv: readonly string[], version: string): Parsed {
  let parsed: Parsed | undefined
  let printed = ''
  const program = new Command('retake')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        printed += text
      },
      writeErr: () => {},
    })
    .configureHelp({ formatHelp: () => renderProgramHelp(version) })
    .version(version, '-V, --version')
    .helpCommand(true)
  for (const option of allGlobalOptions()) program.addOption(toOption(option))
  program.action(() => {
    const [word] = program.args
    if (word !== undefined) throw unknownCommand(word, [...commands.map(({ path }) => path[0] ?? ''), 'help'])
    parsed = { kind: 'print', text: renderProgramHelp(version) }
  })
  program.argument('[command...]').allowExcessArguments()

  const groups = new Map<string, Command>()
  for (const group of commandGroups) {
    const command = program.command(group.name).configureHelp({ formatHelp: () => renderGroupHelp(group) })
    command
      .argument('[command...]')
      .allowExcessArguments()
      .action(() => {
        const [word] = command.args
        const members = commands.filter(({ path }) => path[0] === group.name).map(({ path }) => path[1] ?? '')
        if (word !== undefined)
          throw unknownCommand(
            `${group.name} ${word}`,
            members.map((member) => `${group.name} ${member}`),
          )
        parsed = { kind: 'incomplete', text: renderGroupHelp(group) }
      })
    groups.set(group.name, command)
  }
  for (const declaration of commands) {
    addCommand(
      groups.get(declaration.path.length > 1 ? (declaration.path[0] ?? '') : '') ?? program,
      declaration,
      (run) => {
        parsed = { kind: 'run', declaration, ...run, global: program.opts() }
      },
    )
  }

  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0 || error.code === 'commander.help') return { kind: 'print', text: printed.trimEnd() }
    throw usageError(error, argv)
  }
  return parsed ?? { kind: 'print', text: printed.trimEnd() }
}

function addCommand(
  parent: Command,
  declaration: CommandDeclaration,
  found: (run: { args: (string | undefined)[]; options: OptionValues }) => void,
): void {
  const command = parent
    .command(declaration.path.at(-1) ?? '')
    .configureHelp({ formatHelp: () => renderCommandHelp(declaration) })
    .allowExcessArguments(false)
  for (const argument of declaration.arguments ?? []) {
    const name = argument.several ? `${argument.name}...` : argument.name
    const created = command.createArgument(argument.required ? `<${name}>` : `[${name}]`)
    command.addArgument(argument.choices ? created.choices(argument.choices) : created)
  }
  for (const option of declaration.options ?? []) command.addOption(toOption(option))
  command.action(() => found({ args: command.processedArgs.flat(), options: command.opts() }))
}

function toOption(declaration: CommandOption): Option {
  const option = new Option(declaration.flags, declaration.description)
  if (declaration.choices) option.choices(declaration.choices)
  if (declaration.required) option.makeOptionMandatory()
  if (declaration.repeatable) option.argParser((value, previous: string[] | undefined) => [...(previous ?? []), value])
  return option
}

function unknownCommand(word: string, candidates: readonly string[]): RetakeError {
  const candidate = nearest(word, [...new Set(candidates)])
  return new RetakeError('config.invalid', `There is no command "retake ${word}".`, {
    hint: candidate ? `Did you mean "retake ${candidate}"?` : '`retake --help` lists the commands.',
  })
}

/** Commander's messages begin with "error: " and may carry a suggestion on a line of its own, which is our hint. */
function usageError(error: CommanderError, argv: readonly string[]): RetakeError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = rest.join(' ').replace(/^\((.*)\)$/, '$1')
  const words = argv.filter((word) => /^[a-z]+$/.test(word))
  const path = commands.find((command) => command.path.every((word, index) => words[index] === word))?.path ?? []
  return new RetakeError('config.invalid', `${first[0]?.toUpperCase() ?? ''}${first.slice(1).replace(/\.$/, '')}.`, {
    hint: suggestion || `\`${['retake', ...path].join(' ')} --help\` shows what it takes.`,
  })
}
