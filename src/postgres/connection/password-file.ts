/**
 * The password file, `~/.pgpass`: lines of `host:port:database:user:password`, the first that matches wins.
 * https://www.postgresql.org/docs/current/libpq-pgpass.html
 * libpq's rules are kept: a file that others can read is not used, and a physical replication connection looks for the
 * database `replication`.
 */
import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export interface PasswordQuery {
  /** As the user wrote it; a Unix-domain socket in the default directory counts as `localhost`. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

export interface PasswordFile {
  readonly path: string
  /** Why the file is not used, as a sentence with the remedy; undefined when it is used or does not exist. */
  readonly ignored: string | undefined
  find(query: PasswordQuery): string | undefined
}

export function openPasswordFile(path: string | undefined, env: NodeJS.ProcessEnv): PasswordFile {
  const resolved = path || join(env.HOME || homedir(), '.pgpass')
  const none = (ignored: string | undefined): PasswordFile => ({ path: resolved, ignored, find: () => undefined })
  try {
    const facts = statSync(resolved)
    if (!facts.isFile()) return none(`${resolved} is not used because it is not a plain file.`)
    if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0) {
      return none(`${resolved} is not used because others can read it: run chmod 600 ${resolved}.`)
    }
    const content = readFileSync(resolved, 'utf8')
    return { path: resolved, ignored: undefined, find: (query) => findPassword(content, query) }
  } catch {
    // libpq, too, goes on without a password file that is absent or cannot be read; the server will ask if it needs one.
    return none(undefined)
  }
}

export function findPassword(content: string, query: PasswordQuery): string | undefined {
  const wanted = [query.host, String(query.port), query.database, query.user]
  for (const line of content.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue
    const fields = splitFields(line)
    if (fields.length < 5) continue
    if (wanted.every((value, index) => fields[index] === '*' || unprotect(fields[index] ?? '') === value)) {
      return unprotect(fields[4] ?? '')
    }
  }
  return undefined
}

/** Cuts at the first four colons that no backslash protects; the password may hold plain colons. */
function splitFields(line: string): string[] {
  const fields: string[] = []
  let begin = 0
  for (let index = 0; index < line.length && fields.length < 4; index++) {
    if (line[index] === '\\') index++
    else if (line[index] === ':') {
      fields.push(line.slice(begin, index))
      begin = index + 1
    }
  }
  fields.push(line.slice(begin))
  return fields
}

function unprotect(field: string): string {
  return field.replace(/\\(.)/g, '$1')
}
