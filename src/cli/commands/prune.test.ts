/** What is kept, by the real command line: shown, held, given up, looked at into the future. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeTemp } from '../../../test/support/temp.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { createRepository } from '../../repository/repository.ts'
import { BackupSeries } from '../../repository/testing/backup-series.ts'
import { durationHours, policyOptions } from '../policy-options.ts'
import { runCli } from '../testing/run-cli.ts'

test('retake prune, and retention simulate, hold and release', async () => {
  await using temp = makeTemp({ label: 'prune' })
  const key = generateKey()
  await writeFile(temp.join('key'), formatKeyText(key.bytes), { mode: 0o600 })
  const ids: string[] = []
  {
    await using repository = await createRepository(temp.join('repo'), key)
    const series = await BackupSeries.begin(repository)
    for (let month = 0; month < 4; month++) {
      series.change(['a', 'b', 'c'])
      ids.push((await series.backUp(new Date(Date.UTC(2025, month, 1)))).backupId)
    }
  }
  const [first, second, third, last] = ids as [string, string, string, string]
  const env = {
    RETAKE_REPO: temp.join('repo'),
    RETAKE_KEY_FILE: temp.join('key'),
    RETAKE_RETENTION_MONTHLY: '2',
    RETAKE_PRUNE_GRACE_HOURS: '0',
  }
  const retake = (...args: string[]) => runCli(args, env, temp.path)

  const held = await retake('retention', 'hold', first, '--reason', 'audit')
  assert.equal(held.stdout, `${first} is held until it is released: audit\n`)
  assert.match((await retake('backups')).stdout, new RegExp(`${first}.*held: audit`))

  const rehearsal = await retake('prune', '--dry-run')
  assert.equal(rehearsal.code, 0, rehearsal.stderr)
  const line = (text: string, id: string) => text.split('\n').find((one) => one.startsWith(id)) ?? ''
  assert.match(line(rehearsal.stdout, first), /keep .*hold: held: audit/)
  assert.match(line(rehearsal.stdout, second), /drop .*older than 7 days/)
  assert.match(line(rehearsal.stdout, third), /keep .*monthly: the newest of 2025-03/)
  assert.match(line(rehearsal.stdout, last), /keep .*window, .*newest/)
  assert.match(rehearsal.stdout, /Window after:/)
  assert.match(rehearsal.stdout, /Nothing was changed/)

  const done = await retake('prune', '--json')
  const report = done.json<{ givenUp: { backups: string[] }; deleted: { objects: number }; pending: unknown[] }>()
  assert.deepEqual(report.givenUp.backups, [second])
  assert.ok(report.deleted.objects > 3)
  assert.deepEqual(report.pending, [])

  const released = await retake('retention', 'release', first)
  assert.match(released.stdout, /is no longer held:\n {2}audit/)
  const simulated = await retake('retention', 'simulate', '--days', '90', '--backup-every', '12h', '--keep-days', '3')
  assert.equal(simulated.code, 0, simulated.stderr)
  assert.match(simulated.stdout, /Policy: 3 days, 2 monthly; a backup every 12 h adds/)
})

test('durations and numbers of the command line are what they say, or are refused', () => {
  assert.deepEqual(
    ['24h', '30m', '7d', '1.5h'].map((text) => durationHours(text, '--backup-every')),
    [24, 0.5, 168, 1.5],
  )
  for (const text of ['soon', '0h', '10', '-1d', '5s'])
    assert.throws(() => durationHours(text, '--backup-every'), { code: 'config.invalid' }, text)
  assert.deepEqual(policyOptions({ keepDays: '3.5', keepMonthly: '12', repack: true }), { days: 3.5, monthly: 12 })
  assert.throws(() => policyOptions({ keepCount: '2.5' }), { code: 'config.invalid' })
  assert.throws(() => policyOptions({ keepWalDays: 'all' }), { code: 'config.invalid' })
})
