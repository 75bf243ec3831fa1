/** What a run does: the verbs of the engine, each harmless to do twice. */
import { RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { RunRequest } from '../control/runs.ts'
import { backUp } from '../engine/backup.ts'
import type { Retake } from '../engine/open.ts'
import { prune } from '../engine/prune.ts'
import { verify } from '../engine/verify.ts'

export interface TaskOptions {
  readonly signal: AbortSignal
  readonly onProgress: ProgressListener
}

/** @returns what is kept of it, plain data */
export async function doTask(retake: Retake, request: RunRequest, options: TaskOptions): Promise<object> {
  switch (request.task) {
    case 'backup': {
      const { type, label } = request.options
      // Asked again after a crash between the commit and its note, the engine answers with the backup that it made.
      const { backup, wal, durationMs } = await backUp(retake, { ...options, type, label, request: request.id }).result
      return { backupId: backup.backupId, type: backup.type, storedBytes: backup.storedBytes, wal, durationMs }
    }
    case 'verify': {
      const result = await verify(retake, { ...options, deep: request.options.deep === true }).result
      const { ok, backups, packs, segments, bytesRead, findings } = result
      if (!ok) throw damaged(findings.length)
      return { backups, packs, segments, bytesRead }
    }
    case 'prune': {
      const { givenUp, deleted } = await prune(retake, options).result
      return { givenUp: givenUp.backups, deleted }
    }
  }
}

function damaged(findings: number): RetakeError {
  return new RetakeError('verify.damaged', `The verification found damage (${findings} findings).`, {
    hint: 'Run retake verify --deep: it names each damaged object and what is lost with it. Then take a full backup: retake backup --type full.',
  })
}
