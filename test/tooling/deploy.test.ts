/** What `deploy` ships is checked where no engine runs: by systemd's own checker, a linter of Dockerfiles, and what a compose file refers to. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { validate } from 'dockerfile-utils'
import { parse } from 'yaml'
import { commandName, commands } from '../../src/cli/command-table.ts'
import { makeTemp } from '../support/temp.ts'

const deploy = resolve(import.meta.dirname, '../../deploy')
const read = (name: string) => readFileSync(`${deploy}/${name}`, 'utf8')
const hasAnalyser = existsSync('/usr/bin/systemd-analyze')

test('the unit is one', { skip: hasAnalyser ? false : 'systemd-analyze is not on this machine' }, async () => {
  await using temp = makeTemp()
  mkdirSync(temp.join('units'))
  // The program and the user need not be on this machine.
  const text = read('retake.service')
    .replace('/usr/local/bin/retake', '/bin/true')
    .replace('User=retake', 'User=daemon')
  writeFileSync(temp.join('units', 'retake.service'), text)
  const { stderr, status } = spawnSync(
    '/usr/bin/systemd-analyze',
    ['verify', '--man=no', temp.join('units', 'retake.service')],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /retake\.service/)
})

test('the Dockerfile has nothing to complain about, and starts a command that exists', () => {
  const text = read('Dockerfile')
  assert.deepEqual(
    validate(text).map(({ message }) => message),
    [],
  )
  const [, started = ''] = /^CMD (\[.*\])$/m.exec(text) ?? []
  const [command, ...args] = JSON.parse(started) as string[]
  const serve = commands.find((one) => commandName(one) === `retake ${command}`)
  assert.ok(serve)
  const flags = serve.options?.map(({ flags: all }) => all.split(' ')[0]) ?? []
  for (const flag of args.filter((arg) => arg.startsWith('--'))) assert.ok(flags.includes(flag), flag)
  assert.match(text, /^FROM node:24-/m)
})

test('the compose file refers to nothing that is not there', () => {
  const { services, secrets, volumes } = parse(read('compose.yaml')) as Compose
  for (const [name, service] of Object.entries(services)) {
    for (const secret of service.secrets ?? []) assert.ok(secret in secrets, `${name}: ${secret}`)
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':')
      assert.ok(source.startsWith('/') || source in volumes, `${name}: ${volume}`)
    }
    for (const other of Object.keys(service.depends_on ?? {}))
      assert.ok(services[other]?.healthcheck, `${name}: ${other}`)
    if (service.build) assert.ok(existsSync(resolve(deploy, service.build.context, service.build.dockerfile)))
  }
})

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly secrets?: readonly string[]
        readonly volumes?: readonly string[]
        readonly depends_on?: Readonly<Record<string, unknown>>
        readonly healthcheck?: unknown
        readonly build?: { readonly context: string; readonly dockerfile: string }
      }
    >
  >
  readonly secrets: Readonly<Record<string, unknown>>
  readonly volumes: Readonly<Record<string, unknown>>
}
