import { createInterface } from 'node:readline'
import { createInterface as createAsker } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { abortedError } from '../base/errors.ts'

/** Asks on stderr for a line. */
export async function askLine(question: string, signal: AbortSignal): Promise<string> {
  const reader = createAsker({ input: process.stdin, output: process.stderr })
  try {
    return (await reader.question(question, { signal })).trim()
  } catch (error) {
    throw signal.aborted ? abortedError() : error
  } finally {
    reader.close()
  }
}

/** Asks on stderr for a line that is not shown while it is typed. */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  // Readline echoes what is typed to its output; this one goes nowhere.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true })
  process.stderr.write(question)
  try {
    return await new Promise<string>((resolve, reject) => {
      const stop = () => reject(abortedError())
      signal.addEventListener('abort', stop, { once: true })
      // In raw mode Ctrl-C arrives here, not as a signal of the process.
      reader.once('SIGINT', stop)
      reader.once('close', stop)
      reader.once('line', (line) => {
        signal.removeEventListener('abort', stop)
        resolve(line)
      })
    })
  } finally {
    reader.close()
    process.stderr.write('\n')
  }
}
