import { throwIfAborted } from '../../base/abort.ts'
import type { Progress } from '../../base/progress.ts'
import type { Repository } from '../repository.ts'
import { Findings } from './findings.ts'

/** What all checks of one verification share. */
export interface VerifyContext {
  readonly repository: Repository
  readonly depth: 'quick' | 'deep'
  readonly signal: AbortSignal | undefined
  readonly findings: Findings
  readonly counts: { backups: number; packs: number; segments: number; bytesRead: number; pagesChecked: number }
  /** Also the place where an abort takes effect. */
  progress(progress: Progress): void
}

export function createContext(options: {
  readonly repository: Repository
  readonly depth: 'quick' | 'deep'
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}): VerifyContext {
  return {
    repository: options.repository,
    depth: options.depth,
    signal: options.signal,
    findings: new Findings(),
    counts: { backups: 0, packs: 0, segments: 0, bytesRead: 0, pagesChecked: 0 },
    progress(progress) {
      throwIfAborted(options.signal)
      options.onProgress?.(progress)
    },
  }
}
