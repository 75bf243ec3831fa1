import { readServerConfig } from '../../server/config.ts'
import { jsonLogger } from '../../server/logger.ts'
import { serve } from '../../server/server.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { retakeOptions } from '../open.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { env, directory, global, options, signal } = context
  const config = await readServerConfig({
    file: optionText(options.serverConfig),
    directory,
    env,
    listen: optionText(options.listen),
    data: optionText(options.data),
    single: () => retakeOptions(context),
  })
  const level = global.verbose === true ? 'debug' : global.quiet === true ? 'error' : 'info'
  const logger = jsonLogger(process.stderr, { level })
  await serve({ config, databaseUrl: env.DATABASE_URL || undefined, env, logger, signal }, ({ url }) => {
    logger.info(`The server is ready at ${url}.`, { clusters: config.clusters.map(({ name }) => name) })
  })
  return { data: { stopped: true }, text: '' }
}
