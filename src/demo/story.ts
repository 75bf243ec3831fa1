/** The demo's output: numbered steps with what they took, plain text that reads alike in a terminal and in a file. */
const WIDTH = 78

export interface StepTiming {
  readonly title: string
  readonly ms: number
}

export class Story {
  readonly timings: StepTiming[] = []
  readonly #write: (line: string) => void

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  /** Prints the title, runs the step, then prints what it says and how long it took. */
  async step<T>(title: string, work: (say: (line: string) => void) => Promise<T>): Promise<T> {
    const begunMs = performance.now()
    const lines: string[] = []
    const value = await work((line) => lines.push(line))
    const ms = performance.now() - begunMs
    this.timings.push({ title, ms })
    const head = `${String(this.timings.length).padStart(2)}  ${title}`
    const seconds = `${(ms / 1_000).toFixed(1)} s`
    this.#write('')
    this.#write(head.padEnd(WIDTH - seconds.length) + seconds)
    for (const line of lines) this.#write(`    ${line}`)
    return value
  }

  line(text = ''): void {
    this.#write(text)
  }
}

/** Columns as wide as their widest cell; numbers to the right. */
export function renderColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        /^[\d,]+$/.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
