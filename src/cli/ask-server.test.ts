/** Which of the two answers: a server that was named, one that is there, or the library. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import '../../test/support/leaks.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import { serveApi } from '../api/serve.ts'
import { schedulesExample, statusExample } from '../api/testing/examples.ts'
import { MemoryServices } from '../api/testing/memory-services.ts'
import { silentLogger } from '../base/progress.ts'
import { reportOf } from '../monitor/alerts/testing/reports.ts'
import { runCli } from './testing/run-cli.ts'

const TOKEN = 'a-token-of-thirty-two-characters'

class Services extends MemoryServices {
  asked: (number | undefined)[] = []

  override readHealth = async () => reportOf({}, new Date())
  override readStatus = async (cluster: string) => (cluster === 'main' ? statusExample : undefined)
  override readSchedules = async (cluster: string, { next }: { readonly next?: number | undefined }) => {
    this.asked.push(next)
    return cluster === 'main' ? schedulesExample : undefined
  }
}

describe('a command that can ask a server', () => {
  let services: Services
  let api: Awaited<ReturnType<typeof serveApi>>
  let temp: TempDirectory

  before(async () => {
    services = new Services()
    api = await serveApi(services, { host: '127.0.0.1', port: 0, token: TOKEN, logger: silentLogger })
    temp = makeTemp({ label: 'ask-server' })
    writeFileSync(temp.join('token'), TOKEN)
    writeFileSync(temp.join('retake.config.yaml'), `repo: ${temp.join('none')}\nkeyFile: ${temp.join('none')}\n`)
  })

  after(async () => {
    await api?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  const named = () => ({ RETAKE_SERVER: api.url, RETAKE_TOKEN_FILE: 'token' })
  const run = (args: string[], env: Record<string, string> = {}) => runCli([...args, '--no-input'], env, temp.path)

  test('asks the one that was named, without a repository, and says so', async () => {
    const told = await run(['status'], named())
    assert.equal(told.code, 40, told.stderr)
    assert.ok(told.stdout.endsWith(`Told by the server at ${api.url}.\n`), told.stdout)
    assert.match(told.stdout, /DANGER +The last backup is old/)
    assert.match(told.stdout, /point-in-time recovery until/, 'what Supabase holds is among it')
    const json = (await run(['status', '--json', '--server', api.url], { RETAKE_TOKEN: TOKEN })).json<{
      source: unknown
      backupCount: number
    }>()
    assert.deepEqual([json.source, json.backupCount], [{ by: 'server', url: api.url }, 1])
    const due = await run(['schedules', '--next', '17'], named())
    assert.ok(due.stdout.endsWith(`Told by the server at ${api.url}.\n`), due.stdout + due.stderr)
    assert.equal(services.asked.at(-1), 17)
    const points = await run(['checklist'], named())
    assert.ok(points.stdout.endsWith(`Told by the server at ${api.url}.\n`), points.stdout + points.stderr)
    assert.match(points.stdout, /^ 10 {2}person {3}Verify file storage links and uploads$/m)
  })

  test('fails when the one that was named is not there, or does not know the cluster', async () => {
    const gone = await run(['status'], { RETAKE_SERVER: 'http://127.0.0.1:1', RETAKE_TOKEN: TOKEN })
    assert.match(gone.stderr, /could not be reached/)
    assert.notEqual(gone.code, 0)
    const other = await run(['status', '--cluster', 'other'], named())
    assert.equal(other.code, 10, other.stderr)
  })

  test('looks by itself when told to, without a token, and for a repository of the command line', async () => {
    // There is none, which only who looks can find.
    const looked = (result: { readonly stderr: string; readonly code: number | null }) =>
      assert.match(result.stderr, /repository|key/i, String(result.code))
    looked(await run(['status', '--local'], named()))
    looked(await run(['schedules', '--local'], named()))
    looked(await run(['status']))
    const points = await run(['checklist'])
    assert.equal(points.code, 40, points.stderr)
    assert.match(points.stdout, /^ {2}1 {2}UNKNOWN {2}Verify backup completion notifications$/m)
    looked(await run(['status', '--repo', temp.join('none')], { RETAKE_TOKEN: TOKEN }))
    const both = await run(['status', '--local', '--server', api.url])
    assert.equal(both.code, 2)
  })
})
