/** `--help`: what the command is for, examples first, then everything it takes. */
import { optionEntries } from '../engine/config-options.ts'
import type { CommandArgument, CommandDeclaration, CommandGroup, CommandOption } from './command.ts'
import { commandGroups, commandName, commands, globalOptions } from './command-table.ts'
import { wrap } from './format.ts'

/** Of a terminal that nobody has made wider. */
const WIDTH = 80
/** A longer name stands on a line of its own, so that it does not squeeze what is said of all the others. */
const LONGEST_NAME = 24

export function renderProgramHelp(version: string): string {
  const top = commands
    .filter(({ path }) => path.length === 1)
    .map(({ path, summary }) => [path[0] ?? '', summary] as const)
  const grouped = commandGroups.map(({ name, summary }) => [name, `${summary}\n${membersOf(name).join(', ')}`] as const)
  return [
    `Retake ${version}: backup and point-in-time recovery for PostgreSQL and Supabase.`,
    section('Start here', [
      ['retake demo', 'see it work, in about a minute'],
      ['retake init', 'protect your own server'],
      ['retake doctor', 'see what is wrong, with the exact fix'],
    ]),
    section('Commands', top),
    section('Groups of commands, such as `retake wal receive`', grouped),
    section('Every command takes', optionRows(allGlobalOptions())),
    wrap(
      'Exit status: 0 done, anything else failed; docs/cli.md lists them. `retake COMMAND --help` has examples.',
      WIDTH,
    ).join('\n'),
    '',
  ].join('\n\n')
}

export function renderGroupHelp(group: CommandGroup): string {
  const members = commands.filter(({ path }) => path[0] === group.name && path.length > 1)
  return [
    wrap(`retake ${group.name}: ${group.summary}`, WIDTH).join('\n'),
    section(
      'Commands',
      members.map((command) => [commandName(command), command.summary] as const),
    ),
    `\`retake ${group.name} COMMAND --help\` has examples.`,
    '',
  ].join('\n\n')
}

export function renderCommandHelp(command: CommandDeclaration): string {
  const examples = command.examples.map(renderExample).join('\n')
  const parts = [
    wrap(`${commandName(command)}: ${command.summary}`, WIDTH).join('\n'),
    `Examples\n${examples}`,
    ...(command.details ? [wrap(command.details, WIDTH).join('\n')] : []),
    `Usage\n  ${renderUsage(command)}`,
  ]
  if (command.arguments?.length) parts.push(section('Arguments', command.arguments.map(argumentRow)))
  if (command.options?.length) parts.push(section('Options', optionRows(command.options)))
  parts.push(section('Every command takes', optionRows(allGlobalOptions())))
  return [...parts, ''].join('\n\n')
}

/** A command stays on one line, so that it can be copied. */
function renderExample({ command, note }: CommandDeclaration['examples'][number]): string {
  return [`  ${command}`, ...wrap(note, WIDTH - 6).map((line) => `      ${line}`)].join('\n')
}

/** `retake verify [options] [backup]` */
export function renderUsage(command: CommandDeclaration): string {
  const args = (command.arguments ?? []).map(({ name, required, several }) => {
    const word = several ? `${name}...` : name
    return required ? `<${word}>` : `[${word}]`
  })
  return [commandName(command), '[options]', ...args].join(' ')
}

/** The options of the table of configuration that have a flag, and the ones of the command line alone. */
export function allGlobalOptions(): readonly CommandOption[] {
  const configured = optionEntries().flatMap(([, option]): CommandOption[] => {
    if (!option.flag) return []
    const completes = /<(file|dir|url)>/.exec(option.flag)?.[1]
    return [
      {
        flags: option.flag,
        description: `${lowerFirst(option.description).replace(/\.$/, '')} (${option.env}${option.defaultText ? `; default: ${option.defaultText}` : ''})`,
        ...(completes === undefined ? {} : { completes: completes === 'file' ? 'file' : 'directory' }),
      },
    ]
  })
  return [...configured, ...globalOptions]
}

export function membersOf(group: string): string[] {
  return commands.filter(({ path }) => path[0] === group && path.length > 1).map(({ path }) => path[1] ?? '')
}

function argumentRow({ name, description, choices }: CommandArgument): readonly [string, string] {
  return [name, choices ? `${description}: ${choices.join(', ')}` : description]
}

function optionRows(options: readonly CommandOption[]): (readonly [string, string])[] {
  return options.map(({ flags, description, repeatable, required }) => [
    flags,
    `${description}${repeatable ? '; may be given several times' : ''}${required ? ' (required)' : ''}`,
  ])
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => (name.length > LONGEST_NAME ? 0 : name.length)), 4)
  const lines = rows.flatMap(([name, text]) => {
    const said = text.split('\n').flatMap((line) => wrap(line, WIDTH - width - 4))
    const texts = name.length > width ? ['', ...said] : said
    return texts.map((line, index) => `  ${(index === 0 ? name : '').padEnd(width)}  ${line}`.trimEnd())
  })
  return [title, ...lines].join('\n')
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? `${text[0]?.toLowerCase()}${text.slice(1)}` : text
}
