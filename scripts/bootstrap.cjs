'use strict'
// The one entry of every npm script. It runs on an old Node with no node_modules, so it is plain CommonJS without
// dependencies and in syntax that Node 14.18 parses: install what the lock file says if that is not here yet, find a Node
// that runs the sources, run the command on it. Nothing touches the network when nothing is missing.

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const tty = require('node:tty')
const { pathToFileURL } = require('node:url')

const MINIMUM_MAJOR = 24
const root = path.resolve(__dirname, '..')
const modules = path.join(root, 'node_modules')
const lockFile = path.join(root, '.retake-install.lock')

const commands = {
  demo: ['bin/retake.js', 'demo'],
  retake: ['bin/retake.js'],
  test: ['scripts/test.ts'],
  soak: ['test/soak/run.ts'],
  bench: ['bench/run.ts'],
  build: ['scripts/build.ts'],
  check: ['scripts/check.ts'],
  docs: ['scripts/generate-docs.ts'],
  fixture: ['test/compat/make-fixture.ts'],
}

function say(text) {
  process.stderr.write(text + '\n')
}

function fail(text, status) {
  say(text)
  process.exit(status)
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch (_) {
    return undefined
  }
}

/** Whether npm installs this package on this machine; npm leaves the others out. */
function isForThisMachine(entry) {
  const allows = (list, value) => {
    if (list === undefined) return true
    const names = [].concat(list)
    if (names.includes('!' + value)) return false
    return names.includes(value) || names.every((name) => name.startsWith('!'))
  }
  if (!allows(entry.os, process.platform) || !allows(entry.cpu, process.arch)) return false
  if (entry.libc === undefined || process.platform !== 'linux') return true
  if (process.report) process.report.excludeNetwork = true // else it may look up host names
  const report = process.report && process.report.getReport()
  return allows(entry.libc, report && report.header.glibcVersionRuntime ? 'glibc' : 'musl')
}

/**
 * What is missing or differs from package-lock.json, as a sentence; undefined when everything is here. npm writes
 * node_modules/.package-lock.json last, so its absence also tells an interrupted installation.
 */
function whatIsMissing() {
  const wanted = readJson(path.join(root, 'package-lock.json'))
  if (wanted === undefined) fail('package-lock.json cannot be read; this is not a complete checkout of Retake.', 1)
  const present = readJson(path.join(modules, '.package-lock.json'))
  if (present === undefined) return 'The dependencies are not installed yet.'
  const explicit = new Set()
  for (const entry of Object.values(wanted.packages)) {
    // Optional packages that nothing names directly (WebAssembly fall-backs and the like) are npm's own business.
    for (const name of Object.keys(entry.optionalDependencies || {})) explicit.add('node_modules/' + name)
  }
  for (const [place, entry] of Object.entries(wanted.packages)) {
    if (place === '' || (entry.optional && !explicit.has(place)) || !isForThisMachine(entry)) continue
    const found = present.packages[place]
    if (found === undefined) return place.replace('node_modules/', '') + ' is not installed.'
    if (found.version !== entry.version) return place.replace('node_modules/', '') + ' has another version.'
  }
  return undefined
}

/** The file that starts npm: the npm that is running us, or `npm` of the PATH. */
function npmCommand() {
  const running = process.env.npm_execpath
  if (running && /npm-cli\.c?js$/.test(running) && fs.existsSync(running)) return [process.execPath, running]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm']
}

/** The environment for npm: without node_modules/.bin (which it is about to replace), and with a cache it can write. */
function npmEnvironment() {
  const env = Object.assign({}, process.env)
  const parts = (env.PATH || '').split(path.delimiter)
  env.PATH = parts.filter((part) => part !== path.join(modules, '.bin')).join(path.delimiter)
  delete env.NODE_ENV
  if (env.npm_config_cache === undefined && !canWrite(env.HOME || os.homedir())) {
    env.npm_config_cache = path.join(os.tmpdir(), 'npm-cache-' + (process.getuid ? process.getuid() : 'user'))
  }
  return env
}

function canWrite(directory) {
  try {
    fs.accessSync(directory, fs.constants.W_OK)
    return true
  } catch (_) {
    return false
  }
}

function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Runs `work` while no other process installs into this checkout; one that died leaves a lock that is taken over. */
function withInstallLock(work) {
  let told = false
  for (;;) {
    try {
      fs.writeFileSync(lockFile, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') {
        fail('Cannot write to ' + root + ' (' + error.code + '), so the dependencies cannot be installed.', 1)
      }
    }
    let owner = 0
    let ageMs = 0
    try {
      owner = Number(fs.readFileSync(lockFile, 'utf8'))
      ageMs = Date.now() - fs.statSync(lockFile).mtimeMs
    } catch (_) {
      continue // it was released between the two calls
    }
    // An empty lock is one whose owner is between creating and writing it, or died there.
    if (owner > 0 ? !isAlive(owner) : ageMs > 5000) {
      fs.rmSync ? fs.rmSync(lockFile, { force: true }) : fs.unlinkSync(lockFile)
      continue
    }
    if (!told) say('Another process (' + owner + ') is installing the dependencies; waiting for it.')
    told = true
    pause(250)
  }
  const release = () => {
    try {
      fs.unlinkSync(lockFile)
    } catch (_) {
      // already gone
    }
  }
  process.once('exit', release)
  try {
    work()
  } finally {
    process.removeListener('exit', release)
    release()
  }
}

function install() {
  const reason = whatIsMissing()
  if (reason === undefined) return
  const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', '--include=optional']
  say(reason + ' Installing them (npm ' + flags.slice(0, 4).join(' ') + '); about 170 MB are fetched once.')
  const begunMs = Date.now()
  const [program, ...rest] = npmCommand().concat(flags, '--loglevel=error')
  // stdout belongs to the command that follows, so npm's own words go to stderr.
  const run = spawnSync(program, rest, { cwd: root, stdio: ['ignore', 2, 2], env: npmEnvironment() })
  if (run.error) fail('npm could not be started (' + run.error.message + '). Install Node.js with npm.', 50)
  if (run.signal) process.exit(130)
  if (run.status !== 0) {
    fail('The installation failed. Is the package registry reachable? Run the command again when it is.', 1)
  }
  say('Installed in ' + ((Date.now() - begunMs) / 1000).toFixed(1) + ' s.')
}

function majorOf(version) {
  return Number(/^v?(\d+)/.exec(version)[1])
}

/** A Node that runs the sources: this one, the one of the development runtime, or undefined. */
function findNode() {
  if (majorOf(process.version) >= MINIMUM_MAJOR) return process.execPath
  const candidate = path.join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
  const asked = spawnSync(candidate, ['--version'], { encoding: 'utf8' })
  return asked.status === 0 && majorOf(asked.stdout.trim()) >= MINIMUM_MAJOR ? candidate : undefined
}

/** Runs the script in this process when this Node is good enough, so that signals and exit codes are simply its own. */
function runHere(file, args) {
  process.argv = [process.execPath, file].concat(args)
  import(pathToFileURL(file).href).catch((error) => fail(error.stack, 1))
}

function runOn(node, file, args) {
  const env = Object.assign({}, process.env)
  env.PATH = path.join(modules, '.bin') + path.delimiter + (env.PATH || '')
  const child = spawn(node, [file].concat(args), { stdio: 'inherit', env })
  // The terminal sends Ctrl-C to every process of the group, so a child that shares our terminal has it already.
  const sharesTerminal = [0, 1, 2].some((fd) => tty.isatty(fd))
  process.on('SIGINT', () => {
    if (!sharesTerminal) child.kill('SIGINT')
  })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail('Node ' + MINIMUM_MAJOR + ' could not be started: ' + error.message, 50))
  child.on('exit', (status, signal) => {
    if (signal === null) process.exit(status)
    // End the same way, so that the caller sees the signal; SIGKILL and the like cannot be listened to anyway.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function main() {
  const name = process.argv[2]
  if (!Object.prototype.hasOwnProperty.call(commands, name)) {
    fail('usage: node scripts/bootstrap.cjs ' + Object.keys(commands).join('|') + ' [arguments]', 2)
  }
  if (whatIsMissing() !== undefined) withInstallLock(install)
  const node = findNode()
  if (node === undefined) {
    fail(
      'Retake needs Node.js ' +
        MINIMUM_MAJOR +
        ' or newer; this is ' +
        process.version +
        ', and the development ' +
        'runtime has none for ' +
        process.platform +
        '-' +
        process.arch +
        '.\n' +
        'Install Node ' +
        MINIMUM_MAJOR +
        ' (https://nodejs.org/en/download) and run the command again.',
      50,
    )
  }
  const [script, ...fixed] = commands[name]
  const args = fixed.concat(process.argv.slice(3))
  if (node === process.execPath) runHere(path.join(root, script), args)
  else runOn(node, path.join(root, script), args)
}

main()
