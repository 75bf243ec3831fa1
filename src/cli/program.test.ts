import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorCodes } from '../base/error-codes.ts'
import { RetakeError } from '../base/errors.ts'
import { renderConfigReference } from '../engine/config-docs.ts'
import { commandGroups, commandName, commands } from './command-table.ts'
import { renderCompletion } from './completion.ts'
import { renderCliReference } from './docs.ts'
import { exitStatuses, exitStatusOf, isRestoreCommand } from './exit-codes.ts'
import { commandLoaders } from './loaders.ts'
import { optionInteger, optionPairs } from './options.ts'
import { type Parsed, parseCommandLine } from './program.ts'
import { renderError } from './render-error.ts'

const parse = (line: string) =>
  parseCommandLine(
    line.split(' ').filter((word) => word !== ''),
    '1.2.3',
  )

function parseRun(line: string): Extract<Parsed, { kind: 'run' }> {
  const parsed = parse(line)
  assert.equal(parsed.kind, 'run', line)
  return parsed as Extract<Parsed, { kind: 'run' }>
}

test('global options are taken before and after the command', () => {
  for (const line of ['--repo /r --json backup --label x', 'backup --label x --repo /r --json']) {
    const { declaration, options, global } = parseRun(line)
    assert.deepEqual(declaration.path, ['backup'])
    assert.equal(options.label, 'x')
    assert.equal(global.repo, '/r')
    assert.equal(global.json, true)
    assert.equal(global.input, true)
  }
})

test('commands of a group, arguments, choices, repeated and negated options', () => {
  const { declaration, options, args } = parseRun(
    'restore apply plan.json --tablespace-map /a=/b --tablespace-map /c=/d --no-start --then pause',
  )
  assert.deepEqual(declaration.path, ['restore', 'apply'])
  assert.deepEqual(args, ['plan.json'])
  assert.deepEqual(options.tablespaceMap, ['/a=/b', '/c=/d'])
  assert.equal(options.start, false)
  assert.equal(options.then, 'pause')
})

const usageErrors: readonly (readonly [line: string, message: RegExp, hint: RegExp])[] = [
  ['bakcup', /no command "retake bakcup"/, /Did you mean "retake backup"/],
  ['wal recieve', /no command "retake wal recieve"/, /Did you mean "retake wal receive"/],
  ['backup --lable x', /--lable/, /--label/],
  ['verify a b', /arguments/i, /retake verify --help/],
  ['wal get x', /file/, /retake wal get --help/],
  ['restore plan --then explode', /promote, pause, shutdown/, /retake restore plan --help/],
  ['completion tcsh', /bash, zsh, fish/, /retake completion --help/],
  ['backup --label', /--label/, /retake backup --help/],
]

for (const [line, message, hint] of usageErrors) {
  test(`"retake ${line}" is refused with the next step`, () => {
    assert.throws(() => parse(line), { code: 'config.invalid', message, hint })
  })
}

test('help has its examples first, and the version is printed', () => {
  for (const command of commands) {
    const parsed = parse(`${command.path.join(' ')} --help`)
    assert.equal(parsed.kind, 'print')
    const text = (parsed as { text: string }).text
    assert.ok(text.indexOf('Examples') < text.indexOf('Usage'), command.path.join(' '))
    assert.ok(
      text.split('\n').every((line) => line.length <= 140),
      'no line is too long',
    )
  }
  assert.match((parse('--help') as { text: string }).text, /Start here/)
  assert.match((parse('') as { text: string }).text, /Start here/)
  assert.match((parse('help backup') as { text: string }).text, /^retake backup: /)
  assert.equal((parse('--version') as { text: string }).text, '1.2.3')
  assert.equal(parse('wal').kind, 'incomplete')
})

test('help fits a terminal of 80 columns; only commands that must not be broken are longer', () => {
  const pages = ['', ...commandGroups.map(({ name }) => name), ...commands.map(({ path }) => path.join(' '))]
  for (const page of pages) {
    const { text } = parse(`${page} --help`) as { text: string }
    const long = text.split('\n').filter((line) => line.length > 80)
    assert.deepEqual(
      long.filter((line) => !commands.some(({ examples }) => examples.some(({ command }) => line === `  ${command}`))),
      [],
      page,
    )
  }
})

test('what is said of a command has most of the line, whatever its group or the names beside it', () => {
  const { text } = parse('--help') as { text: string }
  for (const { path, summary } of commands) {
    if (path.length > 1) continue
    const line = text.split('\n').find((one) => one.startsWith(`  ${path[0]} `)) ?? ''
    assert.ok(line.indexOf(summary.split(' ')[0] ?? '') <= 16, line)
  }
  const said = text.replaceAll(/\s+/g, ' ')
  for (const { name, summary } of commandGroups) {
    const members = commands.filter(({ path }) => path.length > 1 && path[0] === name).map(({ path }) => path[1])
    assert.ok(said.includes(`${name} ${summary} ${members.join(', ')}`), name)
  }
})

test('a name that is too long stands on a line of its own, and what is said of it where it always is', () => {
  const { text } = parse('restore plan --help') as { text: string }
  const lines = text.split('\n')
  const at = lines.indexOf('  --tablespace-map <old=new>')
  const column = lines.find((line) => line.startsWith('  --to <'))?.search(/(?<=> +)\w/)
  assert.equal(lines[at + 1]?.search(/\w/), column)
})

test('every command has a loader, a known group and examples that parse as themselves', () => {
  assert.deepEqual(Object.keys(commandLoaders).sort(), commands.map(({ path }) => path.join(' ')).sort())
  for (const command of commands) {
    if (command.path.length > 1) assert.ok(commandGroups.some(({ name }) => name === command.path[0]))
    assert.ok(command.examples.length >= 3, commandName(command))
    for (const example of command.examples) {
      const words = /retake ([^|<>)#']+)/
        .exec(example.command)?.[1]
        ?.replaceAll(/"[^"]*"/g, 'x')
        .trim()
      assert.deepEqual(parseRun(words ?? '').declaration.path, command.path, example.command)
    }
  }
})

test('no command takes a secret as a flag', () => {
  const flags = commands.flatMap(({ options = [] }) => options.map((option) => option.flags))
  for (const flag of flags) assert.doesNotMatch(flag, /^--(password|passphrase|key|token|secret|database-url)\b/)
})

test('every exit status of an error is documented', () => {
  const documented = new Set(exitStatuses.map(([status]) => status))
  for (const [code, { exit }] of Object.entries(errorCodes)) assert.ok(documented.has(exit), `${code}: ${exit}`)
})

test('R7: nothing that goes wrong in "wal get" looks like the end of the archive', () => {
  for (const code of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
    const error = new RetakeError(code, 'x')
    assert.ok(exitStatusOf(error, ['--repo', '/r', 'wal', 'get', 'a', 'b']) >= 126, code)
    assert.equal(exitStatusOf(error, ['backup']), error.exitCode)
  }
  assert.equal(isRestoreCommand(['wal', '--json', 'get']), true)
  assert.equal(isRestoreCommand(['get', 'wal']), false)
})

test('an error shows what failed, the next step and the code; what lies beneath only on request', () => {
  const error = new RetakeError('repo.missing', 'There is none.', { hint: 'Make one.', cause: new Error('ENOENT') })
  assert.equal(
    renderError(error, { verbose: false }),
    'retake: There is none.\n  next: Make one.\n  code: repo.missing',
  )
  assert.match(renderError(error, { verbose: true }), /because: Error: ENOENT/)
})

test('numbers and pairs of options', () => {
  const port = { name: '--port', min: 1, max: 65535 }
  assert.equal(optionInteger('5433', port), 5433)
  assert.equal(optionInteger(undefined, port), undefined)
  for (const bad of ['0', '65536', '1e3', '-1', ''])
    assert.throws(() => optionInteger(bad, port), { code: 'config.invalid' })
  assert.deepEqual(optionPairs(['a=1', 'b=c=d'], '--set'), { a: '1', b: 'c=d' })
  assert.throws(() => optionPairs(['=1'], '--set'), { code: 'config.invalid' })
})

test('completion scripts parse, and bash completes commands, options and values', () => {
  const check = spawnSync('bash', ['-n'], { input: renderCompletion('bash') })
  assert.equal(check.status, 0, String(check.stderr))
  const complete = (...words: string[]) => {
    const script = `${renderCompletion('bash')}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _retake; printf '%s\\n' "\${COMPREPLY[@]}"`
    const ran = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout.trim().split('\n')
  }
  assert.deepEqual(complete('retake', 'b'), ['backup', 'backups'])
  assert.deepEqual(complete('retake', 'restore', '').slice(0, 2), ['plan', 'apply'])
  assert.deepEqual(complete('retake', '--repo', 'x', 'restore', 'plan', '--th'), ['--then'])
  assert.deepEqual(complete('retake', 'restore', 'plan', '--then', ''), ['promote', 'pause', 'shutdown'])
  assert.deepEqual(complete('retake', 'completion', 'f'), ['fish'])
})

for (const shell of ['zsh', 'fish'] as const) {
  test(`the script for ${shell} parses, where ${shell} is installed`, (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'retake-completion-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const file = join(directory, shell)
    writeFileSync(file, renderCompletion(shell))
    const check = spawnSync(shell, ['-n', file])
    if (check.error) {
      assert.match(String(check.error), /ENOENT/)
      assert.match(renderCompletion(shell), /restore/)
    } else assert.equal(check.status, 0, String(check.stderr))
  })
}

test('docs/cli.md and docs/configuration.md are what the code says (RETAKE_WRITE_DOCS=1 writes them)', () => {
  for (const [name, text] of [
    ['cli.md', renderCliReference()],
    ['configuration.md', renderConfigReference()],
  ] as const) {
    const file = new URL(`../../docs/${name}`, import.meta.url)
    if (process.env.RETAKE_WRITE_DOCS) writeFileSync(file, text)
    assert.equal(readFileSync(file, 'utf8'), text, `run: RETAKE_WRITE_DOCS=1 node --test src/cli/program.test.ts`)
  }
})
