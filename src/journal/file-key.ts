import type { RelationFile } from '../postgres/wal/record-parts.ts'

/** The same for the same file. */
export function fileKey({ tablespace, database, relfilenode }: RelationFile): string {
  return `${tablespace}/${database}/${relfilenode}`
}
