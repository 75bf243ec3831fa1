/**
 * The address of a worker's module beside the caller: sources run as `.ts`, the published package as `.js`.
 * @param from `import.meta.url` of the caller
 * @param name path without extension, such as `./frame-worker`
 */
export function workerUrl(from: string, name: string): URL {
  return new URL(`${name}${from.endsWith('.ts') ? '.ts' : '.js'}`, from)
}
