/** Completion scripts, made from the table of commands: they know every command, option and choice, and start nothing. */
import type { CommandDeclaration, CommandOption } from './command.ts'
import { commandGroups, commands } from './command-table.ts'
import { allGlobalOptions, membersOf } from './help.ts'

export type Shell = 'bash' | 'zsh' | 'fish'

export function renderCompletion(shell: Shell): string {
  if (shell === 'bash') return renderBash()
  return shell === 'zsh' ? renderZsh() : renderFish()
}

interface Flag {
  readonly names: readonly string[]
  readonly takesValue: boolean
  readonly choices: readonly string[]
  readonly completes: 'file' | 'directory' | undefined
  readonly description: string
}

function flagsOf(options: readonly CommandOption[]): Flag[] {
  const help: CommandOption = { flags: '-h, --help', description: 'show examples and options' }
  return [...options, help].map((option) => ({
    names: option.flags.split(/,\s*/).map((part) => part.split(' ')[0] ?? ''),
    takesValue: option.flags.includes('<'),
    choices: option.choices ?? [],
    completes: option.completes,
    description: option.description,
  }))
}

const globalFlags = () => flagsOf(allGlobalOptions())
const ownFlags = (command: CommandDeclaration) =>
  flagsOf(command.options ?? []).filter(({ names }) => !names.includes('--help'))

function topWords(): string[] {
  return [...new Set(commands.map(({ path }) => path[0] ?? ''))]
}

/** Every flag that takes a value, once: the same name has the same kind of value wherever it is taken. */
function valueFlags(): Flag[] {
  const all = [...globalFlags(), ...commands.flatMap(ownFlags)].filter(({ takesValue }) => takesValue)
  return all.filter((flag, index) => all.findIndex(({ names }) => names[0] === flag.names[0]) === index)
}

function argumentWords(command: CommandDeclaration): readonly string[] {
  return command.arguments?.[0]?.choices ?? []
}

function argumentFiles(command: CommandDeclaration): boolean {
  return (command.arguments ?? []).some(({ completes }) => completes !== undefined)
}

const names = (flags: readonly Flag[]) => flags.flatMap((flag) => flag.names).join(' ')

/** Shared by bash and zsh: what may follow each command path, as `case` branches that set `words_` and `files_`. */
function pathBranches(indent: string): string {
  const branches = [`'') words_='${topWords().join(' ')}' ;;`]
  for (const group of commandGroups) branches.push(`'${group.name}') words_='${membersOf(group.name).join(' ')}' ;;`)
  for (const command of commands) {
    const words = [names(ownFlags(command)), ...argumentWords(command)].filter((word) => word !== '').join(' ')
    branches.push(`'${command.path.join(' ')}') words_='${words}'${argumentFiles(command) ? ' files_=1' : ''} ;;`)
  }
  return branches.map((branch) => `${indent}${branch}`).join('\n')
}

/** Which value follows a flag, as `case` branches; `words_` or `files_` is set, and `value_` says that a value is wanted. */
function valueBranches(indent: string): string {
  return valueFlags()
    .map((flag) => {
      const action = flag.choices.length > 0 ? `words_='${flag.choices.join(' ')}'` : flag.completes ? 'files_=1' : ':'
      return `${indent}${flag.names.join('|')}) value_=1; ${action} ;;`
    })
    .join('\n')
}

function groupPattern(): string {
  return commandGroups.map(({ name }) => name).join('|')
}

/** Walks the words before the cursor and leaves the command in `path_`; a flag that takes a value eats the next word. */
function pathWalk(flags: string): string {
  return `  for word_ in $before_; do
    if [ -n "$skip_" ]; then skip_=''; continue; fi
    case "$word_" in
      ${flags}) skip_=1 ;;
      -*) ;;
      *)
        case "$path_" in
          '') path_="$word_" ;;
          ${groupPattern()}) path_="$path_ $word_" ;;
        esac ;;
    esac
  done`
}

function renderBash(): string {
  return `# bash completion for retake
_retake() {
  local current_="\${COMP_WORDS[COMP_CWORD]}" previous_="\${COMP_WORDS[COMP_CWORD-1]}"
  local before_="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  local path_='' skip_='' words_='' files_='' value_='' word_
${pathWalk(
  valueFlags()
    .flatMap((flag) => flag.names)
    .join('|'),
)}
  case "$previous_" in
${valueBranches('    ')}
  esac
  if [ -z "$value_" ]; then
    case "$path_" in
${pathBranches('      ')}
    esac
    words_="$words_ ${names(globalFlags())}"
  fi
  COMPREPLY=($(compgen -W "$words_" -- "$current_"))
  if [ -n "$files_" ]; then COMPREPLY+=($(compgen -f -- "$current_")); fi
}
complete -o filenames -F _retake retake
`
}

function renderZsh(): string {
  return `#compdef retake
# zsh completion for retake
_retake() {
  setopt localoptions shwordsplit
  local previous_="\${words[CURRENT-1]}" before_="\${words[2,CURRENT-1]}"
  local path_='' skip_='' words_='' files_='' value_='' word_
${pathWalk(
  valueFlags()
    .flatMap((flag) => flag.names)
    .join('|'),
)}
  case "$previous_" in
${valueBranches('    ')}
  esac
  if [ -z "$value_" ]; then
    case "$path_" in
${pathBranches('      ')}
    esac
    words_="$words_ ${names(globalFlags())}"
  fi
  compadd -- \${=words_}
  if [ -n "$files_" ]; then _files; fi
}
if [ "$funcstack[1]" = "_retake" ]; then _retake "$@"; else compdef _retake retake; fi
`
}

function renderFish(): string {
  const lines = [
    '# fish completion for retake',
    'complete -c retake -f',
    // True when the words that are no flags begin with the given ones (and, with --exact, are no more than them).
    `function __retake_at
  set -l words (commandline -opc)[2..-1]
  set -l path
  set -l skip 0
  for word in $words
    if test $skip = 1
      set skip 0
    else if contains -- $word ${valueFlags()
      .flatMap((flag) => flag.names)
      .join(' ')}
      set skip 1
    else if not string match -q -- '-*' $word
      set -a path $word
    end
  end
  if test "$argv[1]" = --exact
    test "$path" = "$argv[2..-1]"
  else
    test "$path[1..$(count $argv)]" = "$argv"
  end
end`,
  ]
  const add = (condition: string, words: string, description: string) =>
    lines.push(`complete -c retake -n ${quote(condition)} -a ${quote(words)} -d ${quote(description)}`)
  for (const command of commands) {
    const parent = command.path.slice(0, -1)
    add(['__retake_at --exact', ...parent].join(' '), command.path.at(-1) ?? '', command.summary)
  }
  for (const group of commandGroups) add('__retake_at --exact', group.name, group.summary)
  for (const flag of globalFlags()) lines.push(fishFlag('', flag))
  for (const command of commands) {
    const condition = `__retake_at ${command.path.join(' ')}`
    for (const flag of ownFlags(command)) lines.push(fishFlag(condition, flag))
    for (const word of argumentWords(command)) add(`__retake_at --exact ${command.path.join(' ')}`, word, '')
    if (argumentFiles(command)) lines.push(`complete -c retake -n ${quote(condition)} -F`)
  }
  return `${lines.join('\n')}\n`
}

function fishFlag(condition: string, flag: Flag): string {
  const parts = ['complete -c retake']
  if (condition) parts.push(`-n ${quote(condition)}`)
  for (const name of flag.names) parts.push(name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)
  if (flag.choices.length > 0) parts.push(`-x -a ${quote(flag.choices.join(' '))}`)
  else if (flag.completes) parts.push('-r -F')
  else if (flag.takesValue) parts.push('-x')
  parts.push(`-d ${quote(flag.description)}`)
  return parts.join(' ')
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
