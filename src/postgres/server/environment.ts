/**
 * What a server's process sees of our environment: as little as possible, because ours may hold keys and passwords (R11)
 * and every program that the server starts inherits it. The C locale keeps its log in English, which we read.
 */
export function serverEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  extra: Readonly<Record<string, string>> = {},
): NodeJS.ProcessEnv {
  const passed: NodeJS.ProcessEnv = { LC_ALL: 'C', LANG: 'C' }
  // The last: a restore_command is a process for each segment, which starts faster where Node may keep what it has parsed.
  for (const name of ['PATH', 'TMPDIR', 'TZ', 'SystemRoot', 'NODE_COMPILE_CACHE']) {
    const value = env[name]
    if (value !== undefined) passed[name] = value
  }
  return { ...passed, ...extra }
}
