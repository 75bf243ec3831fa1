import { chmodSync, mkdirSync } from 'node:fs'
import { run } from 'node:test'
import { inspect } from 'node:util'
import { endLeftoverProcesses, type LeftoverProcess, removeLeftoverFiles } from './leftovers.ts'
import { spreadDirectories } from './spread-directories.ts'
import type { TestFile } from './test-files.ts'

export interface Failure {
  readonly test: string
  readonly text: string
}

export interface FileResult {
  readonly file: TestFile
  readonly passed: number
  readonly failures: readonly Failure[]
  readonly skipped: readonly { readonly test: string; readonly reason: string }[]
  /** Everything that the file printed. */
  readonly output: string
  readonly durationMs: number
}

export interface RunTestFileOptions {
  /** A directory of this file's own, made here and removed at the end; what is left in it is a failure. */
  readonly tmpDir: string
  readonly testTimeoutMs: number
  readonly fileTimeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Runs one test file in a process of its own. Besides failing tests these are failures: a file that runs no test, one
 * that does not end (a leaked timer, socket or child), and processes or temporary files that it leaves behind.
 */
export async function runTestFile(file: TestFile, options: RunTestFileOptions): Promise<FileResult> {
  const begunMs = performance.now()
  mkdirSync(options.tmpDir)
  // A server that root's tests start runs under another account and must be able to reach its data directory.
  chmodSync(options.tmpDir, process.getuid?.() === 0 ? 0o1777 : 0o700)
  spreadDirectories(options.tmpDir)
  const timeUp = AbortSignal.timeout(options.fileTimeoutMs)
  const tally = new Tally(file)
  const events = run({
    files: [file.path],
    isolation: 'process',
    timeout: options.testTimeoutMs,
    signal: AbortSignal.any([timeUp, options.signal]),
    env: { ...process.env, TMPDIR: options.tmpDir },
  })
  for await (const event of events) tally.add(event as TestEvent)
  const left = await endLeftoverProcesses(options.tmpDir, 3000)
  return tally.result({
    durationMs: performance.now() - begunMs,
    timeLimitMs: timeUp.aborted ? options.fileTimeoutMs : undefined,
    processes: left,
    files: removeLeftoverFiles(options.tmpDir),
  })
}

/** The parts of node:test's events that are read here. https://nodejs.org/docs/latest-v24.x/api/test.html#class-testsstream */
interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly nesting?: number
    readonly skip?: string | boolean
    readonly todo?: string | boolean
    readonly message?: string
    readonly details?: {
      readonly type?: string
      readonly error?: Error & { readonly failureType?: string; readonly cause?: unknown }
    }
  }
}

interface Ending {
  readonly durationMs: number
  readonly timeLimitMs: number | undefined
  readonly processes: readonly LeftoverProcess[]
  readonly files: readonly string[]
}

class Tally {
  readonly #file: TestFile
  readonly #failures: Failure[] = []
  readonly #skipped: { test: string; reason: string }[] = []
  readonly #path: string[] = []
  #passed = 0
  #output = ''

  constructor(file: TestFile) {
    this.#file = file
  }

  add({ type, data }: TestEvent): void {
    if (type === 'test:stdout' || type === 'test:stderr') this.#output += data.message ?? ''
    else if (type === 'test:start') this.#enter(data.nesting ?? 0, data.name ?? '')
    else if (type === 'test:pass') this.#pass(data)
    else if (type === 'test:fail') this.#fail(data)
  }

  result(ending: Ending): FileResult {
    if (ending.timeLimitMs !== undefined) {
      this.#report(`it did not end within ${ending.timeLimitMs / 1000} s: a test hangs, or something is still open`)
    }
    if (this.#passed + this.#failures.length + this.#skipped.length === 0) this.#report('it ran no test')
    for (const { pid, command } of ending.processes) this.#report(`left a process running (${pid}, killed): ${command}`)
    if (ending.files.length > 0) this.#report(`left temporary files: ${ending.files.join(', ')}`)
    return {
      file: this.#file,
      passed: this.#passed,
      failures: this.#failures,
      skipped: this.#skipped,
      output: this.#output,
      durationMs: ending.durationMs,
    }
  }

  #enter(nesting: number, name: string): void {
    this.#path.length = nesting
    this.#path.push(name)
  }

  /** `suite > test`, of the test whose end is being reported. */
  #nameOf(data: TestEvent['data']): string {
    const nesting = data.nesting ?? 0
    return [...this.#path.slice(0, nesting), data.name ?? ''].join(' > ')
  }

  /** node:test reports the file itself as a test that is named like its path. */
  #isFileItself(data: TestEvent['data']): boolean {
    return (data.nesting ?? 0) === 0 && data.name === this.#file.path
  }

  #pass(data: TestEvent['data']): void {
    const left = data.skip ?? data.todo
    if (left !== undefined && left !== false) {
      this.#skipped.push({ test: this.#nameOf(data), reason: left === true || left === '' ? 'no reason given' : left })
    } else if (data.details?.type !== 'suite' && !this.#isFileItself(data)) this.#passed++
  }

  #fail(data: TestEvent['data']): void {
    const error = data.details?.error
    if (error?.failureType === 'subtestsFailed') return // its subtests are reported themselves
    if (this.#isFileItself(data)) {
      if (error?.failureType !== 'testAborted') this.#report('it ended with an error outside of any test')
      return
    }
    this.#failures.push({ test: this.#nameOf(data), text: describeError(error?.cause ?? error) })
  }

  #report(text: string): void {
    this.#failures.push({ test: this.#file.name, text })
  }
}

function describeError(error: unknown): string {
  if (typeof error === 'string') return error
  // An assertion's message has everything (the difference included) that its properties say once more.
  const text = error instanceof Error && error.name === 'AssertionError' ? error.stack : undefined
  return (text ?? inspect(error, { depth: 6, breakLength: 120 })).replaceAll(/\n\s+at .*\(node:internal\/.*/g, '')
}
