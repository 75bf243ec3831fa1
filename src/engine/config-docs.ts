/** `docs/configuration.md`, made from the table of options; a test keeps the file in step. */
import { CONFIG_FILE_NAMES } from './config.ts'
import { type OptionDeclaration, optionEntries } from './config-options.ts'

export function renderConfigReference(): string {
  const rows = optionEntries().map(([name, option]) => {
    const flag = option.flag ? `\`${option.flag}\`` : '–'
    return `| \`${name}\` | ${variablesOf(option)} | ${flag} | ${describe(option)} |`
  })
  const example = optionEntries()
    .filter(([name, option]) => !option.environmentOnly && ['repo', 'cluster', 'databaseUrl', 'keyFile'].includes(name))
    .map(([name, option]) => `${name}: ${option.example}`)
  return [
    '# Configuration',
    '<!-- Made from src/engine/config-options.ts; change it there. -->',
    `Flags win over environment variables, and those over the file. The file is ${CONFIG_FILE_NAMES.map((name) => `\`${name}\``).join(' or ')} in the working directory, ` +
      'or the one that `--config` or `RETAKE_CONFIG` names. An option that Retake does not know is an error. An empty variable counts as not set. ' +
      'The schema of the file is `retake/config.schema.json` in the package; name it in `$schema` and your editor completes and checks.',
    ['```yaml', '# retake.config.yaml', ...example, '```'].join('\n'),
    ['| file | environment | flag | |', '|---|---|---|---|', ...rows].join('\n'),
    '## The key',
    'Exactly one of `RETAKE_KEY_FILE` (or `--key-file`), `RETAKE_KEY`, `RETAKE_KEY_COMMAND` and `RETAKE_PASSPHRASE` opens the repository. When several are set, ' +
      'the first in this order is used. When none is, a command on a terminal asks for a passphrase, unless `--no-input` is given. ' +
      'A key file may also be a recovery kit: the key is found inside it.',
    '## Supabase',
    'With `supabaseProject`, the backups that Supabase itself makes appear beside those of Retake. The management token is looked for in ' +
      '`RETAKE_SUPABASE_TOKEN`, then in `SUPABASE_ACCESS_TOKEN`, which the command line of Supabase reads too, then asked of `supabaseTokenCommand`. ' +
      'It is a secret of the organization. Without one, what Supabase holds is unknown, and said to be.',
    '## The server',
    "Without `databaseUrl`, libpq's variables say where the server is: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGSSLMODE` and so on. `.pgpass` supplies passwords.",
    '',
  ].join('\n\n')
}

function variablesOf({ env, envFallback }: OptionDeclaration): string {
  return envFallback === undefined ? `\`${env}\`` : `\`${env}\`, else \`${envFallback}\``
}

function describe(option: OptionDeclaration): string {
  const notes = [
    option.defaultText ? `Default: \`${option.defaultText}\`.` : '',
    option.environmentOnly ? 'Environment only.' : '',
    option.secret && !option.environmentOnly ? 'May hold a password: keep the file private.' : '',
  ].filter((note) => note !== '')
  return [option.description.replaceAll('|', '\\|'), ...notes].join(' ')
}
