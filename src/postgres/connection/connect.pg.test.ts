import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import { anyMajor, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { openReplication } from '../replication/connection.ts'
import { resolveConnection } from './config.ts'
import { connect } from './connect.ts'
import { openSql } from './sql.ts'

const SECRET = 'correct horse: battery'
const HBA = `
local all postgres trust
host all postgres samehost trust
host replication postgres samehost trust
host all all samehost scram-sha-256
host replication all samehost scram-sha-256
`

describe('connecting to a server with passwords', () => {
  let server: TestServer
  const env = { HOME: '/nonexistent' }

  before(async () => {
    server = await startTestServer({ hba: HBA })
    await server.query(`create role scram login replication password '${SECRET}'`)
  })
  after(() => server[Symbol.asyncDispose]())

  const url = (password: string, more = '') =>
    `postgres://scram${password && `:${encodeURIComponent(password)}`}@127.0.0.1:${server.server.port}/postgres?sslmode=disable${more}`

  test('SCRAM, for SQL and for replication', async () => {
    const target = resolveConnection(url(SECRET), env)
    await using sql = await openSql(target)
    assert.deepEqual(await sql.query('select current_user as name, $1::int as n', [7]), [{ name: 'scram', n: 7 }])
    assert.equal(Math.floor(sql.serverVersionNum / 10_000), anyMajor())
    await using replication = await openReplication(target)
    assert.equal(replication.mode, 'physical')
  })

  test('a wrong password is its own error, and is not repeated in it', async () => {
    const target = resolveConnection(url('s3cret'), env)
    for (const open of [openSql, openReplication]) {
      await assert.rejects(
        open(target),
        (error) => isRetakeError(error, 'postgres.auth') && !inspect(error).includes('s3cret'),
      )
    }
  })

  test('without a password the error says where to put one', async () => {
    await assert.rejects(
      openSql(resolveConnection(url(''), env)),
      (error) => isRetakeError(error, 'postgres.auth') && /PGPASSWORD/.test(inspect(error)),
    )
  })

  test('the password file serves replication under the database name "replication"', async () => {
    const file = join(server.directory, 'pgpass')
    writeFileSync(
      file,
      `127.0.0.1:*:replication:scram:${SECRET.replace(':', '\\:')}\n127.0.0.1:*:postgres:scram:wrong\n`,
      { mode: 0o600 },
    )
    const target = resolveConnection(url(''), { ...env, PGPASSFILE: file })
    await using _replication = await openReplication(target)
    await assert.rejects(openSql(target), (error) => isRetakeError(error, 'postgres.auth'))
  })

  test('a role without REPLICATION is told how to get it', async () => {
    await server.query(`create role plain login password '${SECRET}'`)
    await assert.rejects(
      openReplication(resolveConnection(url(SECRET).replace('scram', 'plain'), env)),
      (error) => isRetakeError(error, 'postgres.privilege') && /ALTER ROLE plain REPLICATION/.test(inspect(error)),
    )
  })

  test('channel_binding=require is refused where there is no TLS', async () => {
    await assert.rejects(openSql(resolveConnection(url(SECRET, '&channel_binding=require'), env)), (error) =>
      isRetakeError(error, 'postgres.auth'),
    )
  })
})

describe('finding the server', () => {
  let server: TestServer
  let mute: Server
  const env = { HOME: '/nonexistent' }

  before(async () => {
    server = await startTestServer()
    // Accepts connections and never says a word.
    mute = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    await new Promise((resolve) => mute.once('listening', resolve))
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await new Promise((resolve) => mute.close(resolve))
  })

  const mutePort = () => {
    const address = mute.address()
    assert.ok(address && typeof address === 'object')
    return address.port
  }

  test('over a Unix-domain socket', async () => {
    const target = resolveConnection(`host=${server.server.socketDir} port=${server.server.port} user=postgres`, env)
    await using sql = await openSql(target, { applicationName: 'by socket' })
    assert.deepEqual(
      await sql.query('select client_addr, application_name from pg_stat_activity where pid = pg_backend_pid()'),
      [{ client_addr: null, application_name: 'by socket' }],
    )
    await using replication = await openReplication(target)
    assert.equal(replication.mode, 'physical')
  })

  test('a target made by hand shows as retake, in SQL and as a walsender', async () => {
    const config = { host: '127.0.0.1', port: server.server.port, user: 'postgres', database: 'postgres' }
    const target = { config, display: 'by hand' }
    await using sql = await openSql(target)
    await using _replication = await openReplication(target)
    const rows = await sql.query(
      `select backend_type, application_name from pg_stat_activity
       where pid = pg_backend_pid() or backend_type = 'walsender' order by backend_type`,
    )
    assert.deepEqual(rows, [
      { backend_type: 'client backend', application_name: 'retake' },
      { backend_type: 'walsender', application_name: 'retake' },
    ])
  })

  test('the next host is tried when one cannot be reached or does not answer', async () => {
    const text = `host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,${mutePort()},${server.server.port} user=postgres`
    await using sql = await openSql(resolveConnection(text, env), { connectTimeoutMs: 300 })
    assert.equal((await sql.query('select 1')).length, 1)
  })

  test('TLS that the server does not offer: prefer goes on without, require does not', async () => {
    const text = `host=127.0.0.1 port=${server.server.port} user=postgres sslmode=`
    await using _sql = await openSql(resolveConnection(`${text}prefer`, env))
    await assert.rejects(openSql(resolveConnection(`${text}require`, env)), (error) =>
      isRetakeError(error, 'postgres.tls'),
    )
  })

  test('a primary is not a standby', async () => {
    const text = `host=127.0.0.1 port=${server.server.port} user=postgres target_session_attrs=`
    await using _primary = await openSql(resolveConnection(`${text}primary`, env))
    await using _preferred = await openSql(resolveConnection(`${text}prefer-standby`, env))
    await assert.rejects(openSql(resolveConnection(`${text}standby`, env)), (error) =>
      isRetakeError(error, 'postgres.unreachable'),
    )
  })

  test('nothing listens; no such host; no answer', async () => {
    for (const text of [
      'host=127.0.0.1 port=1',
      'host=/nonexistent',
      'host=no-such-host.invalid',
      `host=127.0.0.1 port=${mutePort()}`,
    ]) {
      await assert.rejects(openSql(resolveConnection(text, env), { connectTimeoutMs: 300 }), (error) =>
        isRetakeError(error, 'postgres.unreachable'),
      )
    }
  })

  test('no such database', async () => {
    await assert.rejects(openSql(server.targetOf({ database: 'nowhere' })), (error) =>
      isRetakeError(error, 'config.invalid'),
    )
  })

  test('an abort ends the attempt', async () => {
    const controller = new AbortController()
    const attempt = openSql(resolveConnection(`host=127.0.0.1 port=${mutePort()} user=postgres`, env), {
      signal: controller.signal,
    })
    controller.abort()
    await assert.rejects(attempt, (error) => isRetakeError(error, 'aborted'))
    await assert.rejects(openReplication(server.target, { signal: controller.signal }), (error) =>
      isRetakeError(error, 'aborted'),
    )
  })

  test('an SQL error carries its SQLSTATE, and the connection stays usable', async () => {
    await using sql = await openSql(server.target)
    await assert.rejects(
      sql.query('select 1/0'),
      (error) => isRetakeError(error, 'postgres.error') && /22012/.test(inspect(error)),
    )
    assert.deepEqual(await sql.query('select 1 as one'), [{ one: 1 }])
  })

  test('a connection that the server ends is lost, whenever it is used next', async () => {
    await using sql = await openSql(server.target)
    const [row] = await sql.query<{ pid: number }>('select pg_backend_pid() as pid')
    await server.query('select pg_terminate_backend($1)', [row?.pid])
    await assert.rejects(sql.query('select 1'), (error) => isRetakeError(error, 'postgres.connection-lost'))
    await assert.rejects(sql.query('select 1'), (error) => isRetakeError(error, 'postgres.connection-lost'))
  })
})

const openssl = hasOpenssl()

describe('TLS', {
  skip: openssl ? false : 'the openssl program, which makes the certificates, is not installed',
}, () => {
  let server: TestServer
  let files: { ca: string; otherCa: string }

  before(async () => {
    server = await startTestServer({
      hba: 'local all all trust\nhost all postgres samehost trust\nhostssl all all samehost scram-sha-256\nhostssl replication all samehost scram-sha-256\n',
    })
    files = makeCertificates(server)
    await server.query(`create role secure login replication password '${SECRET}'`)
    await server.restart({
      ssl: 'on',
      ssl_cert_file: join(server.directory, 'tls/server.crt'),
      ssl_key_file: join(server.directory, 'tls/server.key'),
    })
  })
  after(() => server[Symbol.asyncDispose]())

  const target = (mode: string, more = '', host = 'localhost') =>
    resolveConnection(
      `host=${host} port=${server.server.port} user=secure password='${SECRET}' dbname=postgres sslmode=${mode} ${more}`,
      { HOME: '/nonexistent' },
    )

  async function protocolOf(mode: string, more = '', host = 'localhost'): Promise<unknown> {
    await using sql = await openSql(target(mode, more, host))
    const [row] = await sql.query<{ version: string | null }>(
      'select version from pg_stat_ssl where pid = pg_backend_pid()',
    )
    return row?.version
  }

  test('verify-full with the right name and authority', async () => {
    assert.match(String(await protocolOf('verify-full', `sslrootcert=${files.ca}`)), /^TLSv1/)
  })

  test('verify-full refuses another name and another authority', async () => {
    await assert.rejects(openSql(target('verify-full', `sslrootcert=${files.ca}`, '127.0.0.1')), (error) =>
      isRetakeError(error, 'postgres.tls'),
    )
    await assert.rejects(openSql(target('verify-full', `sslrootcert=${files.otherCa}`)), (error) =>
      isRetakeError(error, 'postgres.tls'),
    )
  })

  test('verify-full with hostaddr checks the name, not the address', async () => {
    assert.match(String(await protocolOf('verify-full', `sslrootcert=${files.ca} hostaddr=127.0.0.1`)), /^TLSv1/)
    await assert.rejects(
      openSql(target('verify-full', `sslrootcert=${files.ca} hostaddr=127.0.0.1`, 'elsewhere.invalid')),
      (error) => isRetakeError(error, 'postgres.tls'),
    )
  })

  test('verify-ca takes any name, but not any authority', async () => {
    assert.match(String(await protocolOf('verify-ca', `sslrootcert=${files.ca}`, '127.0.0.1')), /^TLSv1/)
    await assert.rejects(openSql(target('verify-ca', `sslrootcert=${files.otherCa}`)), (error) =>
      isRetakeError(error, 'postgres.tls'),
    )
  })

  test('prefer and require use TLS; allow turns to it when pg_hba.conf refuses the plain connection', async () => {
    for (const mode of ['prefer', 'require', 'allow']) assert.match(String(await protocolOf(mode)), /^TLSv1/, mode)
  })

  test('where pg_hba.conf asks for TLS, disable is refused with the line that is missing', async () => {
    await assert.rejects(
      openSql(target('disable')),
      (error) => isRetakeError(error, 'postgres.privilege') && /host {2}postgres {2}secure/.test(inspect(error)),
    )
  })

  test('channel binding', async () => {
    assert.match(String(await protocolOf('verify-full', `sslrootcert=${files.ca} channel_binding=require`)), /^TLSv1/)
  })

  test('a request to cancel takes the same way as the connection: TLS, plain, or a local socket', async () => {
    const plain = `port=${server.server.port} user=postgres dbname=postgres sslmode=disable`
    const ways = [
      target('verify-full', `sslrootcert=${files.ca} hostaddr=127.0.0.1`),
      resolveConnection(`host=127.0.0.1 ${plain}`, { HOME: '/nonexistent' }),
      resolveConnection(`host=${server.server.socketDir} ${plain}`, { HOME: '/nonexistent' }),
    ]
    for (const way of ways) {
      const { client, cancel } = await connect(way)
      const sleeping = client.query('select pg_sleep(600)')
      sleeping.catch(() => {})
      const asleep = "select 1 from pg_stat_activity where query like 'select pg_sleep%' and wait_event = 'PgSleep'"
      while ((await server.query(asleep)).length === 0) await wait(20)
      await cancel()
      await assert.rejects(sleeping, { code: '57014' })
      await client.end()
    }
  })

  test('a replication connection', async () => {
    await using replication = await openReplication(target('verify-full', `sslrootcert=${files.ca}`))
    assert.equal(replication.mode, 'physical')
    assert.match((await replication.identifySystem()).systemIdentifier, /^\d+$/)
  })
})

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** An authority, a certificate for `localhost` signed by it, and another authority that has nothing to do with it. */
function makeCertificates(server: TestServer): { ca: string; otherCa: string } {
  const directory = join(server.directory, 'tls')
  mkdirSync(directory)
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const name of ['ca', 'other']) {
    run(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    )
  }
  run('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  writeFileSync(join(directory, 'san'), 'subjectAltName=DNS:localhost\n')
  run(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.crt',
    '-days',
    '2',
    '-extfile',
    'san',
  )
  const owner = statSync(server.dataDir)
  chownSync(directory, owner.uid, owner.gid)
  for (const name of ['server.key', 'server.crt']) {
    chownSync(join(directory, name), owner.uid, owner.gid)
    chmodSync(join(directory, name), 0o600)
  }
  return { ca: join(directory, 'ca.crt'), otherCa: join(directory, 'other.crt') }
}
