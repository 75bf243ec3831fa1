/** What the examples read from the environment: the variables of the command line. */
import { type RetakeOptions, resolveConfig } from '../src/index.ts'

export async function settings(): Promise<RetakeOptions> {
  const { config } = await resolveConfig({ env: process.env, directory: process.cwd() })
  return { ...config, env: process.env }
}
