import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Progress } from '../base/progress.ts'
import { advanceMeter, type MeterState, meterLeftMs, meterRate, renderMeter, renderPhase } from './progress.ts'
import { type OutputStream, Terminal, type TerminalOptions, wantsColor } from './terminal.ts'

const MIB = 1024 ** 2
const copying = (done: number, total?: number): Progress => ({ phase: 'copying', done, total, unit: 'bytes' })

function run(steps: readonly (readonly [atMs: number, progress: Progress])[]): MeterState {
  let state: MeterState | undefined
  for (const [atMs, progress] of steps) state = advanceMeter(state, progress, atMs)
  assert.ok(state)
  return state
}

test('amount, share, rate and time left come from the last ten seconds', () => {
  const state = run([
    [0, copying(0, 400 * MIB)],
    [1000, copying(10 * MIB, 400 * MIB)],
    [20_000, copying(100 * MIB, 400 * MIB)],
    [21_000, copying(150 * MIB, 400 * MIB)],
  ])
  assert.equal(meterRate(state), 50 * MIB)
  assert.equal(meterLeftMs(state), 5000)
  assert.equal(renderMeter(state, 200), 'copying  150 MiB of 400 MiB  37 %  50.0 MiB/s  5.0 s left')
})

test('without a total there is no share and no time left; without time no rate', () => {
  assert.equal(renderMeter(run([[0, copying(MIB)]]), 80), 'copying  1.00 MiB')
  const files: Progress = { phase: 'checking', done: 3, total: 9, unit: 'files', message: 'base/5' }
  assert.equal(renderMeter(run([[0, files]]), 80), 'checking  3 of 9 files  33 %  base/5')
})

test('a new phase, or an amount that went back, begins anew', () => {
  const state = run([
    [0, copying(0, 10)],
    [5000, copying(10, 10)],
    [6000, { phase: 'syncing', done: 0, unit: 'files' }],
  ])
  assert.equal(meterRate(state), undefined)
  assert.equal(state.samples.length, 1)
  assert.equal(
    run([
      [0, copying(9)],
      [1000, copying(5)],
    ]).samples.length,
    1,
  )
})

test('any number of steps keeps few samples', () => {
  const state = run(Array.from({ length: 10_000 }, (_, index) => [index, copying(index)] as const))
  assert.ok(state.samples.length < 120, String(state.samples.length))
})

test('a line is cut to the width of the terminal', () => {
  assert.equal(renderMeter(run([[0, { ...copying(MIB), message: 'x'.repeat(100) }]]), 30).length, 29)
})

function terminal(options: { tty: boolean } & Partial<TerminalOptions>): {
  terminal: Terminal
  written: string[]
  clock: { ms: number }
} {
  const written: string[] = []
  const stream: OutputStream = { write: (text) => written.push(text), isTTY: options.tty, columns: 80 }
  const clock = { ms: 0 }
  const made = new Terminal({
    stdout: stream,
    stderr: stream,
    env: {},
    clock: { now: () => new Date(0), monotonicMs: () => clock.ms },
    json: false,
    verbosity: 0,
    color: undefined,
    ...options,
  })
  return { terminal: made, written, clock }
}

test('off a terminal there is one line per phase', () => {
  const { terminal: made, written } = terminal({ tty: false })
  for (const done of [0, 1, 2]) made.onProgress(copying(done, 4 * MIB))
  made.onProgress({ phase: 'syncing', done: 0, unit: 'files', message: 'all of them' })
  assert.deepEqual(written, ['copying (4.00 MiB)\n', 'syncing: all of them\n'])
  assert.equal(renderPhase(copying(0)), 'copying')
})

test('on a terminal one line is drawn over, at most ten times a second, and makes way for messages', () => {
  const { terminal: made, written, clock } = terminal({ tty: true })
  made.onProgress(copying(1))
  made.onProgress(copying(2))
  clock.ms = 200
  made.onProgress(copying(3))
  made.logger.warn('look', { lsn: 3n })
  made.logger.info('not shown')
  assert.deepEqual(written, ['\r\x1b[2Kcopying  1 B', '\r\x1b[2Kcopying  3 B', '\r\x1b[2K', 'warning: look (lsn=3)\n'])
})

test('quiet shows errors only', () => {
  const { terminal: made, written } = terminal({ tty: false, verbosity: -1 })
  made.onProgress(copying(1))
  made.logger.warn('not shown')
  made.info('not shown')
  made.logger.error('shown')
  assert.deepEqual(written, ['error: shown\n'])
})

test('colour is for terminals, and for nobody who does not want it', () => {
  const tty = { write: () => true, isTTY: true }
  const pipe = { write: () => true }
  const wants = (stream: OutputStream, env: NodeJS.ProcessEnv, color?: boolean) => wantsColor(stream, { env, color })
  assert.equal(wants(tty, {}), true)
  assert.equal(wants(pipe, {}), false)
  assert.equal(wants(tty, { NO_COLOR: '1', FORCE_COLOR: '1' }), false)
  assert.equal(wants(tty, { TERM: 'dumb' }), false)
  assert.equal(wants(pipe, { FORCE_COLOR: '1' }), true)
  assert.equal(wants(tty, { FORCE_COLOR: '1' }, false), false)
})
