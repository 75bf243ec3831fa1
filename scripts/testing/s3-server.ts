/**
 * The S3 server for a whole test run: Ceph's object gateway, started once when a file of the run needs it. Root on Debian gets its
 * packages installed; where that cannot be, the tests that need it are skipped and say why.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { CEPH_PACKAGES, type CephRgw, missingCephPrograms, startCephRgw } from '../../test/support/ceph-rgw.ts'
import { SERVER_VARIABLE } from '../../test/support/s3-variable.ts'
import type { TestFile } from './test-files.ts'

export interface S3ForRun extends AsyncDisposable {
  /** Resolves when a file that needs the server can run, with or without it. */
  readonly ready: Promise<void>
}

/** Begins to start the server when a file needs it; the address goes to the environment of the test files. */
export function startS3ForRun(files: readonly TestFile[], directory: string): S3ForRun {
  if (!files.some(({ kind }) => kind === 's3') || process.env[SERVER_VARIABLE] !== undefined) {
    return { ready: Promise.resolve(), async [Symbol.asyncDispose]() {} }
  }
  const starting = start(directory)
  return {
    ready: starting.then(() => {}),
    async [Symbol.asyncDispose]() {
      await (await starting)?.[Symbol.asyncDispose]()
    },
  }
}

async function start(directory: string): Promise<CephRgw | undefined> {
  const reason = provideCeph()
  if (reason !== undefined) return without(reason)
  try {
    const begunMs = performance.now()
    mkdirSync(directory)
    const server = await startCephRgw(directory)
    process.env[SERVER_VARIABLE] = `${server.endpoint} ${server.accessKeyId} ${server.secretAccessKey}`
    console.log(`Started an S3 server (Ceph RGW) in ${((performance.now() - begunMs) / 1000).toFixed(1)} s.`)
    return server
  } catch (error) {
    return without(`the S3 server did not start: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
  }
}

function without(reason: string): undefined {
  console.log(`Tests of S3 are skipped: ${reason}`)
  process.env[SERVER_VARIABLE] = `none: ${reason}`
}

/** Why there is no Ceph and cannot be; undefined when there is. */
function provideCeph(): string | undefined {
  const missing = missingCephPrograms()
  if (missing.length === 0) return undefined
  const packages = CEPH_PACKAGES.join(' ')
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return `${missing.join(', ')} not installed (Debian: apt-get install --no-install-recommends ${packages})`
  }
  console.log(`Installing ${packages} for the tests of S3 (about 60 MB, once) …`)
  const begunMs = performance.now()
  const install = ['install', '-y', '--no-install-recommends', ...CEPH_PACKAGES]
  // The package lists of a fresh container are empty; those of a machine in use are good enough.
  const done = apt(install) || (apt(['update']) && apt(install))
  if (!done || missingCephPrograms().length > 0) return `${packages} could not be installed`
  console.log(`Installed in ${((performance.now() - begunMs) / 1000).toFixed(1)} s.`)
  return undefined
}

function apt(args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', timeout: 240_000, env }).status === 0
}
