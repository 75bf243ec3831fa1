import path from 'node:path'
import { namesIn } from './target-directory.ts'

/** Where the server of these programs looks for libraries (`pg_config --pkglibdir`), by the layouts that exist. */
export async function serverLibraryDirectories(binDir: string): Promise<string[]> {
  const prefix = path.dirname(binDir)
  const candidates = [path.join(prefix, 'lib'), path.join(prefix, 'lib', 'postgresql'), path.join(prefix, 'lib64')]
  const existing: string[] = []
  for (const candidate of candidates) if (await namesIn(candidate)) existing.push(candidate)
  return existing
}
