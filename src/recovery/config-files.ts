/** The configuration of a restored data directory: what is added, what is made harmless, and minimal files where none were backed up. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from '../base/errors.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { BackupSurvey } from './backup-survey.ts'
import { replaceFile } from './durable-files.ts'
import type { RestorePlan } from './plan-types.ts'
import { capacitySettings, renderBlock, type SettingList, standingSettings, withBlock } from './settings.ts'

const AUTO_CONF = 'postgresql.auto.conf'
const STANDING = 'restored server'
const STANDING_COMMENT = `Written by Retake when this server was restored. archive_mode is off so that it never archives into the place
of the server it was restored from; to protect it, run retake init for it. Remove a line to return to the value above.`

const RECOVERY_COMMENT = `Written by Retake: where recovery stops. Without recovery.signal these settings mean nothing.`

/** Socket for the account that runs the server, passwords elsewhere: what initdb --auth=peer --auth-host=scram-sha-256 writes. */
const MINIMAL: Readonly<Record<string, string>> = {
  'postgresql.conf': `# Written by Retake: the original was kept outside the data directory and was not backed up.\n`,
  'pg_hba.conf': `# Written by Retake: the original was kept outside the data directory and was not backed up.
local all all peer
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
local replication all peer
`,
  'pg_ident.conf': `# Written by Retake: the original was kept outside the data directory and was not backed up.\n`,
}

/** Settings that lead out of the data directory, to files of the server that this one was restored from. */
const LEADING_OUT = ['data_directory', 'hba_file', 'ident_file', 'config_file', 'external_pid_file']

export interface ConfigOptions {
  readonly plan: RestorePlan
  readonly survey: BackupSurvey
  readonly account: ServerAccount | undefined
  /** Written into the files when nobody gives them on a command line. */
  readonly recovery?: SettingList | undefined
}

/** Completes the configuration files of a data directory that was laid out. Returns what a reader of the report should know. */
export async function writeConfiguration(options: ConfigOptions): Promise<string[]> {
  const { plan, survey, account } = options
  const directory = plan.place.targetDirectory
  const put = (name: string, text: string) => replaceFile(path.join(directory, name), text, { account })
  const notes: string[] = []
  for (const [name, text] of Object.entries(MINIMAL)) {
    if (survey.configFiles.has(name)) continue
    await put(name, text)
    notes.push(`${name} was not in the backup; a minimal one was written.`)
  }
  const main = await readText(path.join(directory, 'postgresql.conf'))
  const harmless = commentOut(main, LEADING_OUT)
  if (harmless !== main) {
    await put('postgresql.conf', harmless)
    notes.push(`Settings in postgresql.conf that lead to files of the original server were commented out.`)
  }
  let auto = withStandingBlock(await readText(path.join(directory, AUTO_CONF)), options)
  if (options.recovery) auto = withRecoveryBlock(auto, options.recovery)
  await put(AUTO_CONF, auto)
  await put('recovery.signal', '')
  return notes
}

/** Lets a server that is not running listen on another port than the plan says. */
export async function changePort(options: ConfigOptions, port: number): Promise<void> {
  const { plan, account } = options
  const file = path.join(plan.place.targetDirectory, AUTO_CONF)
  const server = { ...plan.server, settings: { ...plan.server.settings, port: String(port) } }
  await replaceFile(file, withStandingBlock(await readText(file), { ...options, plan: { ...plan, server } }), {
    account,
  })
}

function withStandingBlock(text: string, { plan, survey }: Pick<ConfigOptions, 'plan' | 'survey'>): string {
  const own = { ...Object.fromEntries(capacitySettings(survey.control, survey.configured)), ...plan.server.settings }
  const settings = standingSettings(own)
  return withBlock(text, { name: STANDING, rendered: renderBlock(STANDING, { comment: STANDING_COMMENT, settings }) })
}

/** Adds the recovery settings to a directory whose server is stopped. */
export async function addRecoverySettings(
  directory: string,
  options: { readonly recovery: SettingList; readonly account: ServerAccount | undefined },
): Promise<void> {
  const file = path.join(directory, AUTO_CONF)
  await replaceFile(file, withRecoveryBlock(await readText(file), options.recovery), { account: options.account })
}

function withRecoveryBlock(text: string, recovery: SettingList): string {
  return withBlock(text, {
    name: 'recovery',
    rendered: renderBlock('recovery', { comment: RECOVERY_COMMENT, settings: recovery }),
  })
}

/** Puts a comment sign before the lines that set one of these names. */
export function commentOut(text: string, names: readonly string[]): string {
  const pattern = new RegExp(`^[ \\t]*(?:${names.join('|')})\\b`, 'i')
  return text
    .split('\n')
    .map((line) => (pattern.test(line) ? `# retake: ${line}` : line))
    .join('\n')
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return ''
    throw error
  }
}
