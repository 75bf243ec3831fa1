#!/usr/bin/env node
// Written in syntax that any Node since 12.20 parses, so that an old one gets a sentence instead of a stack trace.
import { existsSync } from 'node:fs'

const args = process.argv.slice(2)
// PostgreSQL takes 1 to 125 from a restore_command (`retake wal get`) for "there is no more WAL" and ends recovery, so
// whatever goes wrong here must be 126 or more then (the same rule for what happens later is in src/cli/exit-codes.ts).
const wal = args.indexOf('wal')
const isRestoreCommand = wal >= 0 && args.indexOf('get', wal) > wal

function refuse(text, status) {
  process.stderr.write(`${text}\n`)
  process.exitCode = isRestoreCommand ? 126 : status
}

if (Number(process.versions.node.split('.')[0]) < 24) {
  refuse(
    `retake needs Node.js 24 or newer; this is ${process.version}.\n` +
      'Nothing was done. Install Node 24 (https://nodejs.org/en/download) and run the command again.',
    50,
  )
} else {
  if (isRestoreCommand) {
    process.on('uncaughtException', (error) => {
      refuse(error.stack, 126)
      process.exit()
    })
  }
  // The published package carries the compiled files; a checkout runs its sources.
  const compiled = new URL('../dist/lib/main.js', import.meta.url)
  const sources = new URL('../src/cli/main.ts', import.meta.url)
  import(existsSync(sources) ? sources : compiled)
    .then(({ main }) => main(args))
    .catch((error) => refuse(`retake failed unexpectedly: ${error.stack}`, 1))
}
