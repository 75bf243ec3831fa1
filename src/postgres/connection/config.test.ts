import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { isRetakeError } from '../../base/errors.ts'
import { type ConnectionTarget, resolveConnection } from './config.ts'

const home = mkdtempSync(join(tmpdir(), 'retake-config-'))
after(() => rmSync(home, { recursive: true, force: true }))
const env = { HOME: home }

/** What a target comes to, for comparing: hosts with their ways, user, database. */
function digest(target: ConnectionTarget) {
  return {
    hosts: target.hosts?.map((host) => `${host.ways[0]?.host}:${host.ways[0]?.port}`).join(' '),
    tls: target.hosts?.[0]?.ways.map((way) => (way.ssl === false ? 'plain' : 'tls')).join(' '),
    user: target.config.user,
    database: target.config.database,
    password: target.config.password,
  }
}

const plain = { hosts: 'h:5432', tls: 'tls plain', user: 'u', database: 'postgres', password: undefined }

const accepted: [
  name: string,
  text: string | undefined,
  env: NodeJS.ProcessEnv,
  expected: Partial<ReturnType<typeof digest>>,
][] = [
  ['URL with everything', 'postgres://u:p%40ss@h:5433/d', {}, { hosts: 'h:5433', password: 'p@ss', database: 'd' }],
  ['postgresql scheme', 'postgresql://u@h', {}, {}],
  ['percent-encoded user and database', 'postgres://u%2Fx@h/d%20b', {}, { user: 'u/x', database: 'd b' }],
  ['an empty database', 'postgres://u@h/', {}, {}],
  ['parameters win over the path', 'postgres://u@h/d?dbname=e&port=7', {}, { database: 'e', hosts: 'h:7' }],
  ['everything in parameters', 'postgres:///?host=h&user=u', {}, {}],
  ['IPv6', 'postgres://u@[::1]:7/d', {}, { hosts: '::1:7', database: 'd' }],
  ['a socket directory in a URL', 'postgres://u@%2Frun%2Fpg', {}, { hosts: '/run/pg:5432', tls: 'plain' }],
  ['several hosts, one port each', 'postgres://u@a:1,b:2/d', {}, { hosts: 'a:1 b:2', database: 'd' }],
  ['several hosts, ports where given', 'postgres://u@a,b:2/d', {}, { hosts: 'a:5432 b:2', database: 'd' }],
  ['keyword=value', 'host=h user=u', {}, {}],
  ['keyword = value with blanks', ' host = h  user = u ', {}, {}],
  ['quoted values', "host=h user=u password='it\\'s \\\\ here' dbname=''", {}, { password: "it's \\ here" }],
  ['escaped blanks', 'host=h user=u password=a\\ b', {}, { password: 'a b' }],
  ['one port for several hosts', 'host=a,b port=9 user=u', {}, { hosts: 'a:9 b:9' }],
  ['hostaddr alone', 'hostaddr=127.0.0.1 user=u', {}, { hosts: '127.0.0.1:5432' }],
  ['hostaddr with host', 'host=h hostaddr=127.0.0.1 user=u', {}, { hosts: '127.0.0.1:5432' }],
  ['environment only', undefined, { PGHOST: 'h', PGUSER: 'u', PGPASSWORD: 's' }, { password: 's' }],
  [
    'socket directory in the environment',
    undefined,
    { PGHOST: '/run/pg', PGPORT: '6', PGUSER: 'u' },
    { hosts: '/run/pg:6', tls: 'plain' },
  ],
  ['the string wins', 'host=h user=u', { PGHOST: 'x', PGUSER: 'y', PGDATABASE: 'd' }, { database: 'd' }],
  ['an empty string value falls back', "host='' user=u", { PGHOST: 'h' }, {}],
  ['sslmode disable', 'host=h user=u sslmode=disable', {}, { tls: 'plain' }],
  ['sslmode allow', 'host=h user=u sslmode=allow', {}, { tls: 'plain tls' }],
  ['sslmode require', 'host=h user=u', { PGSSLMODE: 'require' }, { tls: 'tls' }],
  ['ssl=true as JDBC writes it', 'postgres://u@h?ssl=true', {}, { tls: 'tls' }],
  ['options without effect', 'postgres://u@h?keepalives_idle=3&gssencmode=prefer&client_encoding=utf8', {}, {}],
]

describe('resolveConnection', () => {
  for (const [name, text, extra, expected] of accepted) {
    test(`accepts ${name}`, () => {
      assert.deepEqual(digest(resolveConnection(text, { ...env, ...extra })), { ...plain, ...expected })
    })
  }

  const refused: [name: string, text: string, needle: RegExp][] = [
    ['neither form', 'just-a-word', /neither/],
    ['an unknown option', 'host=h colour=red', /"colour"/],
    ['a pooler option', 'postgres://u@h?pgbouncer=true', /pgbouncer/],
    ['an "@" left in the password', 'postgres://u:pa@ss@h/d', /host name contains "@"/],
    ['a broken percent-encoding', 'postgres://u:%zz@h/d', /percent-encoding/],
    ['a parameter without value', 'postgres://u@h?sslmode', /name=value/],
    ['an open quote', "host=h password='secret", /keyword=value pairs/],
    ['ports that do not match hosts', 'host=a,b,c port=1,2', /do not match/],
    ['a port out of range', 'host=h port=70000', /not a port/],
    ['an unknown sslmode', 'host=h sslmode=maybe', /sslmode "maybe"/],
    ['verify-full without a root certificate', 'host=h sslmode=verify-full', /root certificate/],
    ['a weak mode with the system certificates', 'host=h sslmode=require sslrootcert=system', /too weak/],
    ['GSSAPI encryption', 'host=h gssencmode=require', /GSSAPI/],
    ['direct negotiation of optional TLS', 'host=h sslnegotiation=direct', /direct/],
    ['an unknown service', 'service=nowhere', /nowhere/],
    ['an unknown kind of session', 'host=h target_session_attrs=best', /best/],
    ['requirepeer, whose promise would not be kept', 'host=/tmp requirepeer=postgres', /requirepeer/],
  ]
  for (const [name, text, needle] of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(
        () => resolveConnection(text, env),
        (error) => isRetakeError(error, 'config.invalid') && needle.test(error.message) && error.hint !== undefined,
      )
    })
  }

  test('shows where it goes without the password', () => {
    const target = resolveConnection('postgres://me:s3cret@[::1]:7,b:8/my%20db', env)
    assert.equal(target.display, 'postgres://me@[::1]:7,b:8/my%20db')
  })

  test('a refusal never repeats a password', () => {
    for (const text of [
      'postgres://u:s3cret@h:x/d',
      "host=h password='s3cret",
      'postgres://u:s3cret%@h',
      'postgres://u:s3@s3cret@h',
    ]) {
      assert.throws(
        () => resolveConnection(text, env),
        (error) => isRetakeError(error) && !inspect(error).includes('s3cret'),
      )
    }
  })

  test('timeouts, names and options reach the configuration', () => {
    const { config } = resolveConnection('host=h user=u connect_timeout=7 application_name=app options=-cx=1', env)
    assert.equal(config.connectionTimeoutMillis, 7000)
    assert.equal(config.application_name, 'app')
    assert.equal(config.options, '-cx=1')
    assert.equal(
      resolveConnection('host=h', { ...env, PGAPPNAME: 'x', PGCONNECT_TIMEOUT: '3' }).config.connectionTimeoutMillis,
      3000,
    )
  })

  test('channel_binding=require is carried to the login', () => {
    const target = resolveConnection('host=h channel_binding=require', env)
    assert.equal(target.requireChannelBinding, true)
    assert.equal(target.config.enableChannelBinding, true)
    assert.equal(resolveConnection('host=h', env).requireChannelBinding, false)
  })

  test('a service gives what the string leaves open', () => {
    const file = join(home, 'services.conf')
    writeFileSync(file, '# comment\n[other]\nhost=x\n[main]\nhost=h\nport=99\nuser=service\n\n[last]\nuser=z\n')
    const target = resolveConnection('service=main user=u', { ...env, PGSERVICEFILE: file, PGPORT: '1' })
    assert.deepEqual(digest(target), { ...plain, hosts: 'h:99' })
  })
})

describe('TLS settings', () => {
  const ca = join(home, 'ca.pem')
  writeFileSync(ca, 'PEM')

  function tls(text: string, extra: NodeJS.ProcessEnv = {}) {
    const { ssl } = resolveConnection(text, { ...env, ...extra }).config
    assert.ok(typeof ssl === 'object')
    return ssl
  }

  test('require without a root certificate checks nothing', () => {
    assert.equal(tls('host=h sslmode=require').rejectUnauthorized, false)
  })

  test('a root certificate makes require check the chain, but not the name', () => {
    const ssl = tls(`host=h sslmode=require sslrootcert=${ca}`)
    assert.equal(ssl.rejectUnauthorized, true)
    assert.deepEqual(ssl.ca, ['PEM'])
    assert.equal(ssl.checkServerIdentity?.('h', certificateFor('other')), undefined)
  })

  test('verify-full checks the name that was written, also when an address is dialled', () => {
    const ssl = tls(`host=db.example.com hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=${ca}`)
    assert.equal(ssl.servername, 'db.example.com')
    assert.equal(ssl.checkServerIdentity?.('127.0.0.1', certificateFor('db.example.com')), undefined)
    assert.ok(ssl.checkServerIdentity?.('127.0.0.1', certificateFor('other.example.com')) instanceof Error)
  })

  test('verify-ca accepts any name', () => {
    assert.equal(
      tls(`host=h sslmode=verify-ca sslrootcert=${ca}`).checkServerIdentity?.('h', certificateFor('other')),
      undefined,
    )
  })

  test('the files in ~/.postgresql are found', () => {
    const own = join(home, 'with-files')
    mkdirSync(join(own, '.postgresql'), { recursive: true })
    for (const [name, content] of [
      ['root.crt', 'ROOT'],
      ['postgresql.crt', 'CRT'],
      ['postgresql.key', 'KEY'],
    ] as const) {
      writeFileSync(join(own, '.postgresql', name), content)
    }
    const ssl = tls('host=h', { HOME: own })
    assert.deepEqual([ssl.ca, ssl.cert, ssl.key, ssl.rejectUnauthorized], [['ROOT'], 'CRT', 'KEY', true])
  })

  test('TLS versions', () => {
    assert.equal(tls('host=h').minVersion, 'TLSv1.2')
    assert.equal(tls('host=h ssl_min_protocol_version=TLSv1.3').minVersion, 'TLSv1.3')
  })

  function certificateFor(name: string) {
    return { subject: { CN: name }, subjectaltname: `DNS:${name}` } as never
  }
})

describe('password file', () => {
  const file = join(home, 'pgpass')
  writeFileSync(
    file,
    [
      '# first match wins',
      'h:5432:d:u:for-d',
      'h:5432:replication:u:for-replication',
      'we\\:ird\\\\:*:*:u:a:b\\:c',
      '*:*:*:nobody:',
      'localhost:*:*:u:local',
    ].join('\n'),
    { mode: 0o600 },
  )
  const withFile = { ...env, PGPASSFILE: file }

  test('by host, port, database and user', () => {
    assert.equal(resolveConnection('postgres://u@h/d', withFile).config.password, 'for-d')
    assert.equal(resolveConnection('postgres://u@h:1/d', withFile).config.password, undefined)
    assert.equal(resolveConnection('postgres://other@h/d', withFile).config.password, undefined)
  })

  test('a physical replication connection is looked up as database "replication"', () => {
    assert.equal(
      resolveConnection('postgres://u@h/d', withFile).hosts?.[0]?.passwordFor?.('replication'),
      'for-replication',
    )
  })

  test('escapes, and colons in the password', () => {
    assert.equal(resolveConnection("host='we:ird\\\\' user=u", withFile).config.password, 'a:b:c')
  })

  test('the default socket directory counts as localhost', () => {
    assert.equal(resolveConnection('host=/tmp user=u', withFile).config.password, 'local')
  })

  test('a given password wins, for every kind of connection', () => {
    const target = resolveConnection('postgres://u:given@h/d', withFile)
    assert.equal(target.config.password, 'given')
    assert.equal(target.hosts?.[0]?.passwordFor, undefined)
  })

  test('a file that others can read is not used, and the reason is kept', {
    skip: process.platform === 'win32',
  }, () => {
    const open = join(home, 'pgpass-open')
    writeFileSync(open, '*:*:*:*:x\n')
    chmodSync(open, 0o644)
    const target = resolveConnection('postgres://u@h/d', { ...env, PGPASSFILE: open })
    assert.equal(target.config.password, undefined)
    assert.match(target.hosts?.[0]?.passwordNote ?? '', /chmod 600/)
  })
})
