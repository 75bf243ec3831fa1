/** What this machine needs to restore here. Pure decisions. */
import type { RetakeError } from '../../base/errors.ts'
import { type Check, failed, passed, unknown, warning } from './check.ts'

export interface MachineFacts {
  /** Undefined when neither server nor repository told the major version. */
  readonly major: number | undefined
  readonly binaries: { readonly binDir: string; readonly origin: string } | { readonly error: RetakeError } | undefined
  readonly configFile: { readonly file: string; readonly mode: number; readonly holdsPassword: boolean } | undefined
  /** `shared_preload_libraries`, which a restored server needs as well. */
  readonly preloads: readonly string[]
}

const binaries: Check<MachineFacts> = {
  id: 'machine.binaries',
  title: 'PostgreSQL to restore with',
  judge: ({ major, binaries: found, preloads }) => {
    if (major === undefined || !found) return unknown('The version of the server is not known.')
    if ('error' in found) {
      return warning(
        `Nothing can be restored on this machine: ${found.error.message}`,
        found.error.hint ?? `Install PostgreSQL ${major}.`,
      )
    }
    const also = preloads.length > 0 ? ` A restored server also needs the libraries ${preloads.join(', ')}.` : ''
    return passed(`PostgreSQL ${major} (${found.origin}) is in ${found.binDir}.${also}`)
  },
}

const configFile: Check<MachineFacts> = {
  id: 'machine.config-file',
  title: 'Configuration file',
  judge: ({ configFile: found }) => {
    if (!found) return passed('No configuration file is used.')
    const open = (found.mode & 0o077) !== 0
    return open && found.holdsPassword
      ? failed(
          `${found.file} holds the password of the server, and other users of this machine can read it.`,
          `chmod 600 ${found.file}`,
        )
      : passed(`${found.file} is used.`)
  },
}

export const machineChecks: readonly Check<MachineFacts>[] = [binaries, configFile]
