import { readServerConfig } from '../../server/config.ts'
import { healthLines } from '../../server/health-lines.ts'
import { jsonLogger } from '../../server/logger.ts'
import { serve } from '../../server/server.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { retakeOptions } from '../open.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { env, directory, global, options, signal, terminal } = context
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
  // Somebody looks on, who reads lines rather than JSON.
  const isWatched = process.stderr.isTTY === true && env.NODE_ENV !== 'production' && global.quiet !== true
  const onReport = isWatched ? healthLines((line) => terminal.note(line)) : undefined
  await serve({ config, databaseUrl: env.DATABASE_URL || undefined, env, logger, signal, onReport }, ({ url }) => {
    logger.info(`The server is ready at ${url}.`, { clusters: config.clusters.map(({ name }) => name) })
  })
  return { data: { stopped: true }, text: '' }
}
