#!/usr/bin/env node
// Written in syntax that any Node since 12 parses, so that an old one gets a sentence instead of a stack trace.
import { existsSync } from 'node:fs'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `retake needs Node.js 24 or newer; this is ${process.version}.\n` +
      'Nothing was done. Install Node 24 (https://nodejs.org/en/download) and run the command again.\n',
  )
  process.exitCode = 50
} else {
  // The published package carries the compiled files; a checkout runs its sources.
  const compiled = new URL('../dist/cli/main.js', import.meta.url)
  const sources = new URL('../src/cli/main.ts', import.meta.url)
  import(existsSync(sources) ? sources : compiled).then(({ main }) => main(process.argv.slice(2)))
}
