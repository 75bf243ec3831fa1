/** Whether the spool of a receiver can hold what it acknowledges, and what it holds that nobody else does. Pure decisions. */
import { isRetakeError } from '../../base/errors.ts'
import { type Check, failed, formatGiB, passed, skipped, unknown, type Verdict, warning } from './check.ts'
import type { SpoolFacts, SpoolPlace } from './spool-facts.ts'

const ELSEWHERE = 'Name a directory on a disk of this machine: RETAKE_SPOOL=DIR, or --spool DIR.'

const place: Check<SpoolFacts> = {
  id: 'machine.spool',
  title: 'Spool for WAL',
  judge: (facts) => {
    const { directory, held } = facts
    if (directory === undefined) return judgeAbsence(facts)
    if (facts.place === undefined) return unknown(`${directory} was not looked at.`)
    if ('error' in facts.place) return failed(`${facts.place.error}.`, ELSEWHERE)
    if (facts.place.problem !== undefined)
      return failed(`${facts.place.problem}: no receiver can acknowledge there.`, ELSEWHERE)
    if (isRetakeError(held)) return failed(held.message, held.hint ?? ELSEWHERE)
    return judgePlace(directory, facts.place, facts)
  },
}

function judgeAbsence({ recorded, receiver }: SpoolFacts): Verdict {
  if (recorded === undefined) return skipped('None is configured; WAL is acknowledged when the repository holds it.')
  if (!recorded.isHere) return passed(`None is configured here; the last receiver has one on ${recorded.host}.`)
  const fix = 'retake doctor --spool DIR   # or: export RETAKE_SPOOL=DIR'
  const said = 'The last receiver of this machine acknowledged from a spool, and which directory it is was not said'
  return recorded.ahead && !receiver
    ? failed(`${said}: it holds WAL that the repository does not have.`, fix)
    : warning(`${said}, so it was not looked at.`, fix)
}

function judgePlace(directory: string, found: SpoolPlace, { isNeedless }: SpoolFacts): Verdict {
  const { fileSystem, sharesDiskWithData } = found
  if (fileSystem === 'memory')
    return failed(
      `${directory} lies in memory: what is acknowledged there is lost when the machine restarts.`,
      ELSEWHERE,
    )
  if (fileSystem === 'layer')
    return warning(
      `${directory} lies in the layer of a container: what is acknowledged there is lost with the container.`,
      'Mount a volume there, or name a directory on one: --spool DIR',
    )
  if (fileSystem !== undefined)
    return warning(
      `${directory} lies on a file system of the network (${fileSystem}), which is as slow as a bucket.`,
      ELSEWHERE,
    )
  if (sharesDiskWithData)
    return warning(
      `${directory} lies on the same disk as the data directory: its loss takes the server and the WAL that only the spool holds.`,
      'Put the spool, or the receiver, on another disk or machine.',
    )
  if (isNeedless)
    return warning(
      `${directory} is configured, and the repository is a directory, which is as quick: a receiver refuses to use both.`,
      'Leave out --acknowledge local and RETAKE_SPOOL.',
    )
  const lies = found.ownFileSystem ? 'on a file system of its own' : 'on a file system that it shares'
  return passed(
    found.exists
      ? `${directory} can be written, and lies ${lies}.`
      : `${directory} does not exist yet; a receiver can make it.`,
  )
}

/** What a spool holds at most: the segment that is open, one that is being uploaded, and what the receiver keeps back. */
function neededBytes({ walSegmentSizeBytes }: SpoolFacts): number {
  return 2 * walSegmentSizeBytes + 17 * 1024 ** 2
}

const space: Check<SpoolFacts> = {
  id: 'machine.spool-space',
  title: 'Space for the spool',
  judge: (facts) => {
    const { place: found, walBytesPerMinute } = facts
    if (found === undefined || 'error' in found) return skipped('There is no spool to look at.')
    const { freeBytes, totalBytes } = found.space
    const lasts =
      walBytesPerMinute === undefined
        ? 'how fast WAL comes is not known'
        : walBytesPerMinute === 0
          ? 'no WAL has come since the last backup'
          : `${describeMinutes(freeBytes / walBytesPerMinute)} of WAL, as it came since the last backup`
    const needed = neededBytes(facts)
    const said = `${formatGiB(freeBytes)} of ${formatGiB(totalBytes)} are free (${lasts})`
    return freeBytes < needed
      ? failed(
          `${said}; a spool needs up to ${formatGiB(needed)}, and a receiver whose spool is full stops.`,
          `Free space on the file system of ${facts.directory}, or name another directory: --spool DIR`,
        )
      : passed(`${said}; a spool needs up to ${formatGiB(needed)}.`)
  },
}

function describeMinutes(minutes: number): string {
  if (minutes < 120) return `${Math.floor(minutes)} minutes`
  return minutes < 2880 ? `${Math.floor(minutes / 60)} hours` : `${Math.floor(minutes / 1440)} days`
}

const wal: Check<SpoolFacts> = {
  id: 'machine.spool-wal',
  title: 'WAL that only the spool holds',
  judge: (facts) => {
    const { directory, held, receiver } = facts
    if (directory === undefined) return skipped('There is no spool to look at.')
    if (isRetakeError(held)) return skipped('It is no spool of this cluster.')
    if (held === undefined) return unknown('What the repository holds could not be compared.')
    const [stranded] = held.stranded
    if (stranded !== undefined)
      return failed(
        `WAL that was acknowledged cannot be brought into the repository: ${stranded}`,
        'retake backup   # the moments before it that only the spool holds are lost to recovery',
      )
    const last = held.ahead.at(-1)
    if (last === undefined) return passed('The repository holds everything that was acknowledged here.')
    const said = `${formatGiB(held.aheadBytes)} up to ${last.toLsn} of timeline ${last.timeline}`
    return receiver
      ? passed(`${said} are on their way; ${receiver.holder} is running.`)
      : failed(
          `${said} were acknowledged, and are in no other place: the server may have forgotten them.`,
          `retake wal receive --acknowledge local --spool ${directory}`,
        )
  },
}

const setAside: Check<SpoolFacts> = {
  id: 'machine.spool-set-aside',
  title: 'WAL that was set aside',
  judge: ({ directory, held }) => {
    if (directory === undefined || held === undefined || isRetakeError(held))
      return skipped('There is no spool to look at.')
    const { files, bytes } = held.setAside
    if (files === 0) return passed('Nothing was set aside.')
    return warning(
      `${files} files (${formatGiB(bytes)}) in ${directory}/set-aside: WAL that was acknowledged and had no place in the repository.`,
      `retake backup   # so that nothing depends on it; then look why (log of the receiver), and remove ${directory}/set-aside`,
    )
  },
}

/** The first says when there is none; the others are asked only of one that is there. */
export function spoolChecks(facts: SpoolFacts): readonly Check<SpoolFacts>[] {
  return facts.directory === undefined ? [place] : [place, space, wal, setAside]
}
