/** The files that a thread of a restore writes to. */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { FileShape } from './restore-batches.ts'

const OPEN_FILES = 48
/** Never through a link: the directory was empty when we came, and nobody else makes files in it. */
const OPEN_OR_MAKE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW

/** Makes and opens files, and keeps some of them open; the one not used longest is closed first. */
export class OpenFiles {
  readonly #account: ServerAccount | undefined
  readonly #files = new Map<string, number>()

  constructor(account: ServerAccount | undefined) {
    this.#account = account
  }

  get(shape: FileShape): number {
    const { file } = shape
    const known = this.#files.get(file)
    if (known !== undefined) {
      this.#files.delete(file)
      this.#files.set(file, known)
      return known
    }
    const [oldest] = this.#files
    if (oldest && this.#files.size >= OPEN_FILES) {
      this.#files.delete(oldest[0])
      closeSync(oldest[1])
    }
    const opened = makeOrOpen(shape, this.#account)
    this.#files.set(file, opened)
    return opened
  }

  closeAll(): void {
    for (const descriptor of this.#files.values()) closeSync(descriptor)
    this.#files.clear()
  }
}

/** Makes a file of nothing but zeros, or an empty one. */
export function makeFile(shape: FileShape, account: ServerAccount | undefined): void {
  closeSync(makeOrOpen(shape, account))
}

/** Several threads may do this to one file at the same time: each gives it the same size, mode and owner. */
function makeOrOpen(shape: FileShape, account: ServerAccount | undefined): number {
  const mode = shape.mode & 0o777
  const descriptor = openSync(shape.file, OPEN_OR_MAKE, mode)
  try {
    const present = fstatSync(descriptor)
    if (present.size !== shape.sizeBytes) ftruncateSync(descriptor, shape.sizeBytes)
    if ((present.mode & 0o777) !== mode) fchmodSync(descriptor, mode)
    if (account && (present.uid !== account.uid || present.gid !== account.gid)) {
      fchownSync(descriptor, account.uid, account.gid)
    }
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}
