/**
 * `backup_label` of an incremental stream tells a server to refuse the directory, because files of it are missing. Ours is
 * complete, so those lines are left out, as pg_combinebackup does.
 * https://www.postgresql.org/docs/current/app-pgcombinebackup.html
 */
import type { FileHeader } from './file-assembly.ts'
import type { IncrementTarget } from './increment-intake.ts'

export const LABEL_PATH = 'backup_label'

const INCREMENTAL_LINE = /^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm

export class LabelIntake {
  readonly #header: FileHeader
  readonly #target: IncrementTarget
  #text = ''

  constructor(header: FileHeader, target: IncrementTarget) {
    this.#header = header
    this.#target = target
  }

  push(bytes: Buffer): void {
    this.#text += bytes.toString('latin1')
  }

  async end(): Promise<void> {
    const bytes = Buffer.from(this.#text.replace(INCREMENTAL_LINE, ''), 'latin1')
    this.#target.beginFile(this.#header, bytes.length)
    await this.#target.data(bytes)
    this.#target.endFile()
  }
}
