import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BackupMonitor, type LogOptions } from './monitor.ts'
import { RecoveryProcedures } from './procedures.ts'

const failing: LogOptions['manager'] = {
  generateBackupReport: () => Promise.reject(new Error('it broke')),
}

async function logged(options: LogOptions): Promise<string[]> {
  const lines: string[] = []
  await BackupMonitor.logBackupStatus({ ...options, log: (text) => lines.push(text) })
  return lines
}

describe('the status while developing', () => {
  test('asks and prints nothing in production', async () => {
    let asked = 0
    const manager: LogOptions['manager'] = {
      generateBackupReport: () => {
        asked++
        return Promise.reject(new Error('asked'))
      },
    }
    assert.deepEqual(await logged({ manager, development: false }), [])
    const before = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      assert.deepEqual(await logged({ manager }), [])
    } finally {
      if (before === undefined) delete process.env.NODE_ENV
      else process.env.NODE_ENV = before
    }
    assert.equal(asked, 0)
  })

  test('says what is wrong instead of throwing', async () => {
    assert.deepEqual(await logged({ manager: failing, development: true }), ['Backup status: it broke'])
    assert.match((await logged({ env: {}, development: true }))[0] ?? '', /SUPABASE_URL and SUPABASE_ANON_KEY/)
    const env = { SUPABASE_URL: 'nothing', SUPABASE_ANON_KEY: 'k' }
    assert.match((await logged({ env, development: true }))[0] ?? '', /The Supabase address is not an address/)
  })

  test('takes the project from its address', async () => {
    const env = { SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co', SUPABASE_ANON_KEY: 'k' }
    const signal = AbortSignal.abort()
    assert.match((await logged({ env, development: true, signal }))[0] ?? '', /^Backup status: Stopped on request/)
  })
})

describe('procedures', () => {
  test('six steps, three levels, ten points, as the strategy has them', () => {
    const steps = RecoveryProcedures.getRecoveryInstructions({ projectId: 'abcdefghijklmnopqrst' })
    assert.deepEqual(
      steps.map(({ title }) => title),
      [
        'Assess the situation',
        'Look at what can be restored',
        'Choose the recovery method',
        'Carry out the recovery',
        'Validate the recovery',
        'Update the configuration',
      ],
    )
    assert.match(JSON.stringify(steps), /dashboard\/project\/abcdefghijklmnopqrst\/database\/backups/)
    assert.deepEqual(
      RecoveryProcedures.getEmergencyContacts().map(({ level }) => level),
      [1, 2, 2, 3],
    )
    const checklist = RecoveryProcedures.getTestingChecklist()
    assert.deepEqual(
      [checklist.length, checklist[0]?.number, checklist[9]?.text],
      [10, 1, 'Verify file storage links and uploads'],
    )
  })

  test("contacts of one's own come in the order of their levels", () => {
    const contacts = [
      { level: 3, role: 'c', contact: 'c', handles: '' },
      { level: 1, role: 'a', contact: 'a', handles: '' },
    ] as const
    assert.deepEqual(
      RecoveryProcedures.getEmergencyContacts(contacts).map(({ role }) => role),
      ['a', 'c'],
    )
  })
})
