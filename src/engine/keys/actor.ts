import { hostname, userInfo } from 'node:os'

/** Who runs this, for records that people read: `user@host`. */
export function currentActor(): string {
  return `${userName()}@${hostname()}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run under a number that has no name.
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
