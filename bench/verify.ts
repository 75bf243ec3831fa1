/** Reading back and proving everything that the last round of the full backups stored. */
import type { Case, Tools } from './cases.ts'

const prepare = async () => {}

/** The first is the reference of the table where restic is installed. */
export function verifyCases(tools: Tools): Case[] {
  const { level, retake, pgBackRest, restic } = tools
  return [
    {
      name: `retake verify --deep, zstd ${level}`,
      prepare,
      commands: () => [retake.command(['verify', '--deep', '--quiet'])],
    },
    { name: 'retake verify', prepare, commands: () => [retake.command(['verify', '--quiet'])] },
    ...(restic ? [{ name: 'restic check --read-data', prepare, commands: () => [restic.check()] }] : []),
    ...(pgBackRest ? [{ name: 'pgBackRest verify', prepare, commands: () => [pgBackRest.verify()] }] : []),
  ]
}
