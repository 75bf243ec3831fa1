/**
 * The entry of the command line: parse, run one command, print its outcome. The only place that maps errors to exit statuses.
 */
import { readFileSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { errorCodes } from '../base/error-codes.ts'
import { assert, RetakeError, systemErrorCode, toRetakeError } from '../base/errors.ts'
import type { CommandContext, CommandDeclaration, OptionValues } from './command.ts'
import { exitStatusOf } from './exit-codes.ts'
import { commandLoaders } from './loaders.ts'
import { parseCommandLine } from './program.ts'
import { renderError } from './render-error.ts'
import { installSignalHandlers } from './signals.ts'
import { keepHeapSmall } from './small-heap.ts'
import { Terminal } from './terminal.ts'

/** The shape of every `--json` object; it grows with a change that a reader could misunderstand. */
export const SCHEMA_VERSION = 1

export async function main(argv: readonly string[]): Promise<void> {
  keepHeapSmall()
  // Until the command has ended well, ending in any other way is a failure, and for a restore_command not the end of the archive.
  process.exitCode = exitStatusOf(new RetakeError('internal', ''), argv)
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      // The reader went away (`retake backups | head`): there is nobody to tell.
      if (systemErrorCode(error) !== 'EPIPE') throw error
    })
  }
  process.exitCode = await runCommandLine(argv)
}

async function runCommandLine(argv: readonly string[]): Promise<number> {
  // Decided before parsing, because a command line that cannot be parsed is answered in the form that was asked for.
  const json = argv.includes('--json')
  let terminal = terminalOf({ json })
  let verbose = false
  try {
    const parsed = parseCommandLine(argv, packageVersion())
    if (parsed.kind === 'print') {
      terminal.data(parsed.text)
      return 0
    }
    if (parsed.kind === 'incomplete') {
      if (json)
        throw new RetakeError('config.invalid', 'A command is missing.', { hint: '`retake --help` lists them.' })
      terminal.note(parsed.text)
      return 2
    }
    terminal = terminalOf(parsed.global)
    verbose = parsed.global.verbose === true
    return await runCommand(parsed, terminal)
  } catch (thrown) {
    const error = toRetakeError(thrown)
    if (json) terminal.data(renderJson({ error: error.toJSON() }))
    else terminal.note(renderError(error, { verbose }))
    return exitStatusOf(error, argv)
  }
}

async function runCommand(
  parsed: {
    declaration: CommandDeclaration
    args: readonly (string | undefined)[]
    options: OptionValues
    global: OptionValues
  },
  terminal: Terminal,
): Promise<number> {
  const { declaration, args, options, global } = parsed
  using signals = installSignalHandlers({
    first: (signal) => terminal.info(`${signal} received: stopping in order; once more to stop at once.`),
    second: () => process.exit(errorCodes.aborted.exit),
  })
  const load = commandLoaders[declaration.path.join(' ')]
  assert(load, `${declaration.path.join(' ')} has no module`)
  const module = await load()
  const context: CommandContext = {
    args,
    options,
    env: process.env,
    directory: process.cwd(),
    json: global.json === true,
    interactive: global.input !== false && process.stdin.isTTY === true && process.stderr.isTTY === true,
    signal: signals.signal,
    clock: systemClock,
    terminal,
    global,
    open: async () => {
      const { openFromCommandLine } = await import('./open.ts')
      return openFromCommandLine(context)
    },
  }
  const outcome = await module.run(context)
  terminal.clearLine()
  if (context.json) terminal.data(renderJson(outcome.data))
  else if (outcome.text !== '') terminal.data(outcome.text)
  return outcome.exitCode ?? (outcome.problem === undefined ? 0 : errorCodes[outcome.problem].exit)
}

function terminalOf(global: OptionValues): Terminal {
  return new Terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    clock: systemClock,
    json: global.json === true,
    verbosity: global.quiet === true ? -1 : global.verbose === true ? 1 : 0,
    color: global.color === false ? false : undefined,
  })
}

function renderJson(data: object): string {
  return JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...data }, undefined, 2)
}

function packageVersion(): string {
  // Two levels up both from `src/cli` and from `dist/cli`.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version: unknown }).version)
}
