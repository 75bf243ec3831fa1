import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commentOut } from './config-files.ts'

test('lines that lead to the original server are commented out, others stay as they are', () => {
  const text = `port = 5432
data_directory = '/var/lib/postgresql/17/main'
 HBA_FILE='/etc/postgresql/17/main/pg_hba.conf'
#ident_file = 'x'
data_directory_mode = 0700
`
  const expected = `port = 5432
# retake: data_directory = '/var/lib/postgresql/17/main'
# retake:  HBA_FILE='/etc/postgresql/17/main/pg_hba.conf'
#ident_file = 'x'
data_directory_mode = 0700
`
  assert.equal(commentOut(text, ['data_directory', 'hba_file', 'ident_file']), expected)
})
