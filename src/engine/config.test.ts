import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { CONFIG_FILE_NAMES, parseConfigFile, resolveConfig } from './config.ts'
import { defaultSlotName, optionEntries } from './config-options.ts'
import { configFileSchema, parseOptionValue, renderConfigSchema } from './config-schema.ts'
import { editDistance, nearest } from './nearest.ts'

async function directoryWith(t: TestContext, files: Record<string, string> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'retake-config-'))
  t.after(() => rm(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  return directory
}

test('flags win over environment, environment over file', async (t) => {
  const directory = await directoryWith(t, {
    'retake.config.yaml': 'repo: /from/file\ncluster: fromfile\nworkers: 4\n',
  })
  const env = { RETAKE_REPO: '/from/env', RETAKE_CLUSTER: 'fromenv', RETAKE_KEY: 'secret', RETAKE_WORKERS: '' }
  const resolved = await resolveConfig({ directory, env, flags: { repo: '/from/flag', cluster: undefined } })
  assert.deepEqual(resolved.config, { repo: '/from/flag', cluster: 'fromenv', key: 'secret', workers: 4 })
  assert.deepEqual(resolved.sources, { repo: 'flag', cluster: 'environment', key: 'environment', workers: 'file' })
  assert.equal(resolved.file, join(directory, 'retake.config.yaml'))
})

test('a variable of another program counts where our own is not set', async (t) => {
  const directory = await directoryWith(t)
  const env = { SUPABASE_ACCESS_TOKEN: 'theirs', RETAKE_SUPABASE_TOKEN: '' }
  assert.equal((await resolveConfig({ directory, env })).config.supabaseToken, 'theirs')
  const both = await resolveConfig({ directory, env: { ...env, RETAKE_SUPABASE_TOKEN: 'ours' } })
  assert.equal(both.config.supabaseToken, 'ours')
  const named = await directoryWith(t, { 'retake.config.yaml': 'supabaseToken: sbp_x' })
  await assert.rejects(resolveConfig({ directory: named }), { hint: /supabaseTokenCommand/ })
})

test('without a file and without anything set, nothing is configured', async (t) => {
  const resolved = await resolveConfig({ directory: await directoryWith(t), env: {} })
  assert.deepEqual(resolved, { config: {}, sources: {}, file: undefined })
})

test('JSON is read too, --config is above RETAKE_CONFIG, and a named file must exist', async (t) => {
  const directory = await directoryWith(t, {
    'retake.config.json': '{"$schema": "x", "cluster": "json"}',
    'a.yaml': 'cluster: a',
    'b.yaml': 'cluster: b',
  })
  assert.equal((await resolveConfig({ directory })).config.cluster, 'json')
  assert.equal((await resolveConfig({ directory, env: { RETAKE_CONFIG: 'a.yaml' } })).config.cluster, 'a')
  const both = await resolveConfig({ directory, env: { RETAKE_CONFIG: 'a.yaml' }, file: 'b.yaml' })
  assert.equal(both.config.cluster, 'b')
  await assert.rejects(resolveConfig({ directory, file: 'none.yaml' }), {
    code: 'config.invalid',
    message: /none\.yaml/,
  })
})

test('two configuration files in one directory are refused', async (t) => {
  const directory = await directoryWith(t, Object.fromEntries(CONFIG_FILE_NAMES.map((name) => [name, '{}'])))
  await assert.rejects(resolveConfig({ directory }), { code: 'config.invalid', hint: /--config/ })
})

test('an unknown key is an error that names the nearest known one', async () => {
  await assert.rejects(() => parseConfigFile('clutser: main', 'f'), {
    code: 'config.invalid',
    hint: 'Did you mean "cluster"?',
  })
  await assert.rejects(() => parseConfigFile('databaseURL: x', 'f'), { hint: 'Did you mean "databaseUrl"?' })
  await assert.rejects(() => parseConfigFile('somethingElseEntirely: x', 'f'), { hint: /configuration\.md/ })
})

test('secrets never stand in the file, and no message repeats a value', async () => {
  for (const [name, option] of optionEntries()) {
    if (option.secret) assert.equal('flag' in option, false, `${name} must not be a flag`)
    if (!option.environmentOnly) continue
    await assert.rejects(
      () => parseConfigFile(`${name}: hunter2`, 'f'),
      (error: Error & { hint: string }) => {
        assert.match(error.hint, new RegExp(option.env))
        assert.doesNotMatch(`${error.message}${error.hint}`, /hunter2/)
        return true
      },
    )
  }
  const broken = 'databaseUrl: "postgres://u:hunter2@h\nrepo: ['
  await assert.rejects(
    () => parseConfigFile(broken, 'f'),
    (error: Error) => {
      assert.match(error.message, /line \d+/)
      return !error.message.includes('hunter2')
    },
  )
  await assert.rejects(
    () => parseConfigFile('databaseUrl: [hunter2]', 'f'),
    (error: Error) => !error.message.includes('hunter2'),
  )
})

test('values are checked and turned into their type', async (t) => {
  const directory = await directoryWith(t)
  const config = async (env: NodeJS.ProcessEnv) => (await resolveConfig({ directory, env })).config
  assert.equal((await config({ RETAKE_COMPRESSION_LEVEL: '9' })).compressionLevel, 9)
  for (const env of [
    { RETAKE_COMPRESSION_LEVEL: '20' },
    { RETAKE_WORKERS: 'many' },
    { RETAKE_CLUSTER: '../x' },
    { RETAKE_SLOT: 'Upper' },
  ]) {
    const [name] = Object.keys(env)
    await assert.rejects(config(env), {
      code: 'config.invalid',
      message: new RegExp(`^${name} `),
      hint: /Write it like/,
    })
  }
})

test('the document of a file must be a mapping', async () => {
  assert.deepEqual(await parseConfigFile('', 'f'), {})
  await assert.rejects(() => parseConfigFile('- a', 'f'), { code: 'config.invalid' })
})

test('each declared example is a value of its option, and environment variables and flags are unique', () => {
  for (const [name, option] of optionEntries()) assert.ok('value' in parseOptionValue(name, option.example), name)
  const names = optionEntries().flatMap(([, option]) => [option.env, ...(option.flag ? [option.flag] : [])])
  assert.equal(new Set(names).size, names.length)
})

test('the JSON schema lists what may stand in a file, and only that', () => {
  const schema = JSON.parse(renderConfigSchema())
  const allowed = optionEntries().filter(([, option]) => !option.environmentOnly)
  assert.deepEqual(Object.keys(schema.properties).sort(), ['$schema', ...allowed.map(([name]) => name)].sort())
  assert.equal(schema.additionalProperties, false)
  const example = Object.fromEntries(allowed.map(([name, option]) => [name, parse(option.example) ?? option.example]))
  assert.deepEqual(configFileSchema().safeParse(example).error, undefined)
})

test('the slot is named after the cluster in the letters that PostgreSQL allows', () => {
  assert.equal(defaultSlotName('main'), 'retake_main')
  assert.equal(defaultSlotName('Prod-EU'), 'retake_prod_eu')
  assert.equal(defaultSlotName('x'.repeat(63)).length, 63)
})

test('edit distance', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3)
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(nearest('verfy', ['verify', 'backup']), 'verify')
  assert.equal(nearest('zzz', ['verify', 'backup']), undefined)
})

test('mirrors are a list in the file, and one line in a variable', async (t) => {
  const directory = await directoryWith(t, {
    'retake.config.yaml':
      'repo: /r\nmirrors:\n  - name: north\n    url: s3://north/main\n    place: eu-north-1\n  - { name: near, url: /mnt/near, offsite: true }\n',
  })
  const fromFile = await resolveConfig({ directory, env: {} })
  const mirrors = [
    { name: 'north', url: 's3://north/main', place: 'eu-north-1' },
    { name: 'near', url: '/mnt/near', offsite: true },
  ]
  assert.deepEqual(fromFile.config.mirrors, mirrors)
  const text = 'north=s3://north/main;place=eu-north-1  near=/mnt/near;offsite=yes'
  const fromEnv = await resolveConfig({ directory, env: { RETAKE_MIRRORS: text } })
  assert.deepEqual(fromEnv.config.mirrors, mirrors)
  const url = 's3://north/main?region=eu-north-1&endpoint=http://127.0.0.1:9000'
  assert.deepEqual(parseOptionValue('mirrors', `north=${url}`), { value: [{ name: 'north', url }] })
})

test('a mirror that could not be told from another, or says what nobody understands, is refused', () => {
  for (const value of [
    'north=/a north=/b',
    'origin=/a',
    '/no/name',
    'north=',
    'north=/a;offsite=maybe',
    'north=/a;color=red',
    [{ name: 'north' }],
    [{ name: 'a/b', url: '/x' }],
    Array.from({ length: 16 }, (_, index) => ({ name: `m${index}`, url: '/x' })),
  ]) {
    assert('problem' in parseOptionValue('mirrors', value), JSON.stringify(value))
  }
  assert('problem' in parseOptionValue('mirrorSync', 'some'))
})

test('critical tables are a list in the file, and one line in a variable', async (t) => {
  const yaml = 'criticalTables:\n  - { table: public.users, tier: high }\n  - { table: public.Odd name, tier: low }\n'
  const directory = await directoryWith(t, { 'retake.config.yaml': yaml })
  const users = { table: 'public.users', tier: 'high' }
  const fromFile = await resolveConfig({ directory })
  assert.deepEqual(fromFile.config.criticalTables, [users, { table: 'public.Odd name', tier: 'low' }])
  const env = { RETAKE_CRITICAL_TABLES: 'public.users=high  app.a=b=low' }
  const fromEnv = await resolveConfig({ directory, env })
  assert.deepEqual(fromEnv.config.criticalTables, [users, { table: 'app.a=b', tier: 'low' }])
  assert.deepEqual(parseOptionValue('criticalTables', []), { value: [] })
  for (const value of [
    'users=high',
    'public.users',
    'public.users=huge',
    'public.a=low public.a=high',
    [{ table: 1 }],
  ]) {
    assert('problem' in parseOptionValue('criticalTables', value), JSON.stringify(value))
  }
})

test('schedules are a list in the file, and JSON in a variable', async (t) => {
  const yaml = [
    'schedules:',
    '  - { name: nightly, task: backup, cron: 0 2 * * mon-sat, zone: Europe/Berlin, jitterMinutes: 10 }',
    '  - name: full',
    '    task: backup',
    '    type: full',
    '    cron: 0 2 * * sun',
    '    since: 2026-11-01T00:00:00+01:00',
    '    blackouts:',
    '      - { cron: 0 8 * * mon-fri, minutes: 600 }',
    '      - { from: 2026-12-24T00:00:00Z, until: 2026-12-27T00:00:00Z }',
  ]
  const directory = await directoryWith(t, { 'retake.config.yaml': yaml.join('\n') })
  const fromFile = (await resolveConfig({ directory })).config.schedules
  assert.deepEqual(
    fromFile?.map(({ name, blackouts = [] }) => [name, blackouts.length]),
    [
      ['nightly', 0],
      ['full', 2],
    ],
  )
  const env = { RETAKE_SCHEDULES: JSON.stringify(fromFile) }
  assert.deepEqual((await resolveConfig({ directory, env })).config.schedules, fromFile)
  assert.deepEqual(parseOptionValue('schedules', []), { value: [] })
})

test('a schedule that would never run, or whose words do nothing, is refused with the reason', () => {
  const fine = { name: 'a', task: 'backup', cron: '0 2 * * *' }
  assert.ok('value' in parseOptionValue('schedules', [fine]))
  for (const [entries, why] of [
    ['0 2 * * *', /array/],
    [[{ ...fine, cron: '0 2 * *' }], /five fields/],
    [[{ ...fine, zone: 'Mars/Base' }], /IANA/],
    [[{ ...fine, zone: '+02:00' }], /IANA/],
    [[{ ...fine, task: 'rest' }], /backup, verify, prune or drill/],
    [[{ ...fine, target: 'latest' }], /only a drill has a target/],
    [[{ ...fine, task: 'verify', type: 'full' }], /only a backup has a type/],
    [[{ ...fine, deep: true }], /only a verification or a drill is deep/],
    [[{ ...fine, name: 'A b' }], /name is 1 to 32/],
    [[fine, fine], /name of its own/],
    [[{ ...fine, since: '2026-11-01T00:00:00' }], /with its offset/],
    [[{ ...fine, retries: 3 }], /retries/],
    [[{ ...fine, blackouts: [{ from: '2026-12-24T00:00:00Z', until: '2026-12-23T00:00:00Z' }] }], /after it begins/],
    [[{ ...fine, blackouts: [{ cron: '0 0 * * *', minutes: 1440 }] }], /leave no time/],
    [[{ ...fine, blackouts: [{ cron: '0 8 * * *' }] }], /`cron` and `minutes`/],
  ] as const) {
    const parsed = parseOptionValue('schedules', entries)
    assert.ok('problem' in parsed, JSON.stringify(entries))
    assert.match(parsed.problem, why)
  }
})
