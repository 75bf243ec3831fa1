/** Runs the real command line in a process of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../../bin/retake.js', import.meta.url))

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The one object of `--json`. */
  json<T = Record<string, unknown>>(): T
}

export interface RunningCli {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly ended: Promise<CliResult>
  /** Resolves when stderr or stdout has said it; rejects when the process ends before. */
  said(text: string): Promise<void>
}

/** Only these variables, so that a test says all that it needs; the cache changes nothing but how fast it starts. */
export function startCli(args: readonly string[], env: NodeJS.ProcessEnv = {}, directory?: string): RunningCli {
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(directory === undefined ? {} : { cwd: directory }),
  })
  let stdout = ''
  let stderr = ''
  const waiting: { text: string; resolve: () => void; reject: (error: Error) => void }[] = []
  const check = () => {
    for (const entry of waiting) if (stdout.includes(entry.text) || stderr.includes(entry.text)) entry.resolve()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    check()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    check()
  })
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      for (const { text, reject: fail } of waiting)
        fail(new Error(`ended without saying "${text}": ${stdout}${stderr}`))
      resolve({ code, stdout, stderr, json: <T>() => JSON.parse(stdout) as T })
    })
  })
  return {
    child,
    ended,
    said: (text) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      waiting.push({ text, resolve, reject })
      check()
      return promise
    },
  }
}

export function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}, directory?: string): Promise<CliResult> {
  return startCli(args, env, directory).ended
}
