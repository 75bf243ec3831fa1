/** `docs/cli.md`, made from the table of commands; a test keeps the file in step. */
import type { CommandDeclaration, CommandOption } from './command.ts'
import { commandName, commands } from './command-table.ts'
import { exitStatuses } from './exit-codes.ts'
import { allGlobalOptions, renderUsage } from './help.ts'

export function renderCliReference(): string {
  return [
    '# The command line',
    '<!-- Made from src/cli/command-table.ts; change it there. -->',
    'Data goes to stdout; progress, messages and questions go to stderr. With `--json` a command prints exactly one object, with `schemaVersion`; ' +
      'a failure is `{ "schemaVersion": 1, "error": { "code", "message", "hint", "retry", "details" } }`. In JSON an instant is ISO 8601 in UTC, ' +
      'an LSN is `X/Y`, a size ends in `Bytes` and a duration in `Ms`. The server to protect is named by `RETAKE_DATABASE_URL` or the `PG*` ' +
      'variables; secrets are never flags. [Configuration](configuration.md) has the variables and the file.',
    'The first Ctrl-C (or SIGTERM) stops the work in order; nothing half-written is ever visible. The second ends at once.',
    '## Commands',
    ...commands.map(renderCommand),
    '## Every command takes',
    optionTable(allGlobalOptions()),
    '## Exit status',
    'A status that is not listed means failure. `retake wal get` is different, because PostgreSQL reads it: 0 delivered, 1 certainly absent, 126 or more failed.',
    [
      '| status | meaning |',
      '|---|---|',
      ...exitStatuses.map(([status, meaning]) => `| ${status} | ${meaning} |`),
    ].join('\n'),
    '',
  ].join('\n\n')
}

function renderCommand(command: CommandDeclaration): string {
  const parts = [
    `### ${commandName(command)}`,
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.${command.details ? ` ${command.details}` : ''}`,
    ['```', ...command.examples.map((example) => `${example.command}    # ${example.note}`), '```'].join('\n'),
    `Usage: \`${renderUsage(command)}\``,
  ]
  if (command.arguments?.length) {
    const rows = command.arguments.map(
      ({ name, description, choices }) =>
        `| \`${name}\` | ${cell(description)}${choices ? `: ${choices.join(', ')}` : ''} |`,
    )
    parts.push(['| argument | |', '|---|---|', ...rows].join('\n'))
  }
  if (command.options?.length) parts.push(optionTable(command.options))
  return parts.join('\n\n')
}

function optionTable(options: readonly CommandOption[]): string {
  const rows = options.map(
    ({ flags, description, choices, repeatable }) =>
      `| \`${flags}\` | ${cell(description)}${choices ? ` (${choices.join(', ')})` : ''}${repeatable ? '; may be given several times' : ''} |`,
  )
  return ['| option | |', '|---|---|', ...rows].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
