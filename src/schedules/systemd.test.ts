import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts'
import { type CronExpression, parseCron } from './cron.ts'
import { occurrencesAfter } from './occurrences.ts'
import { type ScheduleConfig, scheduleOf } from './schedule.ts'
import { onCalendar, renderUnits } from './systemd.ts'

/** Its `calendar --base-time` is of systemd 244. */
const isMissing =
  spawnSync('systemd-analyze', ['calendar', '--base-time=2026-01-01 00:00:00 UTC', 'daily']).status !== 0
const skip = isMissing && 'needs systemd-analyze'

function cronOf(text: string): CronExpression {
  const parsed = parseCron(text)
  assert.ok('cron' in parsed, text)
  return parsed.cron
}

const options = {
  cluster: 'main',
  command: ['/usr/bin/node', '/opt/re take/bin/retake.js'],
  arguments: ['--config', '/etc/50% $HOME/retake.config.yaml', '--cluster', 'main'],
  user: 'root',
  directory: '/',
  now: new Date('2026-01-01T00:00:00Z'),
}

const schedules = (...configs: Partial<ScheduleConfig>[]) =>
  configs.map((config) => scheduleOf({ name: 'backup', task: 'backup', cron: '0 2 * * *', ...config }))

describe('units', () => {
  test('a service and a timer for each schedule, with zone, jitter and catching up', () => {
    const { units, notes } = renderUnits(
      schedules(
        { zone: 'Asia/Kolkata', jitterMinutes: 10, type: 'full' },
        { name: 'deep', task: 'verify', deep: true, cron: '0 4 * * sun' },
        { name: 'drill', task: 'drill', deep: true, cron: '0 6 1 * *' },
        { name: 'newest', task: 'drill', target: 'latest', cron: '0 6 1 * *' },
      ),
      options,
    )
    assert.deepEqual(
      units.slice(0, 4).map(({ name }) => name),
      ['retake-main-backup.service', 'retake-main-backup.timer', 'retake-main-deep.service', 'retake-main-deep.timer'],
    )
    const [service, timer, deep] = units.map(({ text }) => text)
    assert.match(
      service ?? '',
      /^ExecStart=\/usr\/bin\/node "\/opt\/re take\/bin\/retake\.js" backup --type full --config "\/etc\/50%% \$\$HOME\/retake\.config\.yaml" --cluster main$/m,
    )
    assert.match(service ?? '', /^Type=oneshot$/m)
    assert.match(
      timer ?? '',
      /^OnCalendar=\*-\*-\* 02:00:00 Asia\/Kolkata\nRandomizedDelaySec=600s\nFixedRandomDelay=true$/m,
    )
    assert.match(timer ?? '', /^Persistent=true$/m)
    assert.match(deep ?? '', / verify --deep --config /)
    const [drill, drillTimer, newest] = units.slice(4).map(({ text }) => text)
    assert.match(drill ?? '', / drill run --random --deep --config /)
    assert.match(drillTimer ?? '', /^OnCalendar=\*-\*-01 06:00:00 UTC$/m)
    assert.match(newest ?? '', / drill run --at latest --config /)
    assert.deepEqual(notes, [])
  })

  test('a time that the clock skips is named, because systemd leaves it out', () => {
    const noteOf = (cron: string, zone: string) => renderUnits(schedules({ cron, zone }), options).notes
    assert.match(noteOf('30 2 * * *', 'America/New_York').join(), /2026-03-08T07:00:00\.000Z.*"backup"/)
    for (const [cron, zone] of [
      ['30 4 * * *', 'America/New_York'],
      ['30 * * * *', 'America/New_York'],
      ['30 2 * * *', 'Asia/Kolkata'],
    ] as const) {
      assert.deepEqual(noteOf(cron, zone), [], `${cron} ${zone}`)
    }
  })

  test('systemd takes them', { skip }, async () => {
    await using directory = await temporaryDirectory()
    const { units } = renderUnits(
      schedules(
        { jitterMinutes: 10, cron: '0 2 13 * fri', zone: 'Europe/Berlin' },
        { name: 'deep', task: 'verify', deep: true },
      ),
      { ...options, command: [process.execPath] },
    )
    const files = units.map(({ name, text }) => {
      const file = join(directory.path, name)
      writeFileSync(file, text)
      return file
    })
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' })
    const own = stderr.split('\n').filter((line) => line.includes('retake-main'))
    assert.deepEqual([status, own], [0, []], stderr)
  })

  test('systemd names the same times as we do', { skip }, () => {
    for (const [text, zone] of [
      ['0 2 * * *', 'UTC'],
      ['30 1 * * *', 'America/New_York'],
      ['*/20 8-10 1-7 mar,oct *', 'Europe/Berlin'],
      ['0 3 */2 * mon-wed', 'Europe/Berlin'],
      ['5 0 * * sat,sun', 'Australia/Lord_Howe'],
    ] as const) {
      const cron = cronOf(text)
      const [calendar, ...more] = onCalendar(cron)
      assert.deepEqual(more, [], text)
      const ours = [...occurrencesAfter(cron, { zone, after: options.now }).take(40)]
      assert.deepEqual(
        systemdTimes(`${calendar} ${zone}`, 40),
        ours.map((at) => at.toISOString()),
        text,
      )
    }
  })

  test('where one of two days is enough, two events together name them', { skip }, () => {
    const cron = cronOf('0 3 13 * fri')
    const times = onCalendar(cron).flatMap((calendar) => systemdTimes(`${calendar} UTC`, 60))
    const ours = [...occurrencesAfter(cron, { zone: 'UTC', after: options.now }).take(60)].map((at) => at.toISOString())
    assert.deepEqual([...new Set(times)].sort().slice(0, 60), ours)
  })
})

function systemdTimes(calendar: string, count: number): string[] {
  const args = ['calendar', '--base-time=2026-01-01 00:00:00 UTC', `--iterations=${count}`, calendar]
  const { stdout, stderr, status } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  })
  assert.equal(status, 0, stderr)
  const times = stdout.matchAll(/(?:Next elapse|Iter\. #\d+): \w+ (\S+) (\S+) UTC/g)
  return [...times].map(([, date, time]) => `${date}T${time}.000Z`)
}
