/** `--help`: what the command is for, examples first, then everything it takes. */
import { optionEntries } from '../engine/config-options.ts'
import type { CommandArgument, CommandDeclaration, CommandGroup, CommandOption } from './command.ts'
import { commandGroups, commandName, commands, globalOptions } from './command-table.ts'
import { wrap } from './format.ts'

const WIDTH = 100

export function renderProgramHelp(version: string): string {
  const top = commands
    .filter(({ path }) => path.length === 1)
    .map(({ path, summary }) => [path[0] ?? '', summary] as const)
  const grouped = commandGroups.map(({ name, summary }) => [`${name} ${membersOf(name).join('|')}`, summary] as const)
  return [
    `Retake ${version}: backup and point-in-time recovery for PostgreSQL and Supabase.`,
    section('Start here', [
      ['retake demo', 'see it work, in about a minute'],
      ['retake init', 'protect your own server'],
      ['retake doctor', 'see what is wrong, with the exact fix'],
    ]),
    section('Commands', [...top, ...grouped]),
    section('Every command takes', optionRows(allGlobalOptions())),
    'Exit status: 0 done, anything else failed; docs/cli.md lists them. `retake COMMAND --help` has examples.',
    '',
  ].join('\n\n')
}

export function renderGroupHelp(group: CommandGroup): string {
  const members = commands.filter(({ path }) => path[0] === group.name && path.length > 1)
  return [
    `retake ${group.name}: ${group.summary}`,
    section(
      'Commands',
      members.map((command) => [commandName(command), command.summary] as const),
    ),
    `\`retake ${group.name} COMMAND --help\` has examples.`,
    '',
  ].join('\n\n')
}

export function renderCommandHelp(command: CommandDeclaration): string {
  const examples = command.examples.map((example) => `  ${example.command}\n      ${example.note}`).join('\n')
  const parts = [
    `${commandName(command)}: ${command.summary}`,
    `Examples\n${examples}`,
    ...(command.details ? [wrap(command.details, WIDTH).join('\n')] : []),
    `Usage\n  ${renderUsage(command)}`,
  ]
  if (command.arguments?.length) parts.push(section('Arguments', command.arguments.map(argumentRow)))
  if (command.options?.length) parts.push(section('Options', optionRows(command.options)))
  parts.push(section('Every command takes', optionRows(allGlobalOptions())))
  return [...parts, ''].join('\n\n')
}

/** `retake verify [options] [backup]` */
export function renderUsage(command: CommandDeclaration): string {
  const args = (command.arguments ?? []).map(({ name, required }) => (required ? `<${name}>` : `[${name}]`))
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
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, text]) => {
    const [first = '', ...rest] = wrap(text, Math.max(30, WIDTH - width - 4))
    return [`  ${name.padEnd(width)}  ${first}`, ...rest.map((line) => `  ${' '.repeat(width)}  ${line}`)].join('\n')
  })
  return [title, ...lines].join('\n')
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? `${text[0]?.toLowerCase()}${text.slice(1)}` : text
}
