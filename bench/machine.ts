/** What a result must carry along to mean anything: the machine and the versions. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'

export interface Machine {
  readonly system: string
  readonly processor: string
  readonly cores: number
  readonly memoryGib: number
  readonly loadBefore: number
  readonly versions: Readonly<Record<string, string>>
}

export function describeMachine(programs: Readonly<Record<string, string>>): Machine {
  return {
    system: `${type()} ${release()}${distribution()}`,
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    loadBefore: Number(loadavg()[0]?.toFixed(2)),
    versions: Object.fromEntries(Object.entries(programs).map(([name, program]) => [name, versionOf(program)])),
  }
}

function versionOf(program: string): string {
  // Both know the word only as a command.
  const argument = /(pgbackrest|restic)$/.test(program) ? 'version' : '--version'
  return execFileSync(program, [argument], { encoding: 'utf8' }).trim().split('\n')[0] ?? ''
}

function distribution(): string {
  try {
    return `, ${/^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]}`
  } catch {
    return ''
  }
}
