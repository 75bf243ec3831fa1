/** Whether the repository and its copies can be reached, opened, and hold what they should. */
import { toRetakeError } from '../../base/errors.ts'
import { judgeSpace } from '../../engine/doctor/repository-checks.ts'
import { directoryOf, freeSpace } from '../../engine/doctor/space.ts'
import { type MirrorsReport, readMirrors } from '../../engine/mirrors/copies.ts'
import { type BackupCopies, readBackupCopies } from '../../engine/mirrors/three-two-one.ts'
import { forecastDisk } from './disk-forecast.ts'
import type { Measurements } from './measurements.ts'
import { failed, type Outcome, passed, skipped } from './result.ts'
import type { HealthCheck } from './run-checks.ts'
import { outcomeOf } from './server.ts'

export const repository: HealthCheck<'repository'> = {
  name: 'repository',
  title: 'Repository is reachable',
  run: async (sources) => {
    try {
      const { retake, openMs } = await sources.retake()
      const { repository: opened } = retake
      const measured = { url: opened.url, repositoryId: opened.id, openMs }
      return passed(`The repository ${opened.url} opens, and knows the cluster "${retake.clusterName}".`, measured)
    } catch (thrown) {
      const error = toRetakeError(thrown)
      return { ...failed(error.message, { severity: 'danger', fix: error.hint ?? 'retake doctor' }), code: error.code }
    }
  },
}

/** A copy that lacks what is older than this is behind, even where copies follow on purpose. */
const LAG_TARGET_MS = 3_600_000

export const mirrors: HealthCheck<'mirrors'> = {
  name: 'mirrors',
  title: 'Copies of the repository',
  patience: 3,
  run: async (sources) => {
    const { retake } = await sources.retake()
    const last = (await sources.holdings()).backups.at(-1)
    const held = last && (await readBackupCopies(retake, [last.backupId])).get(last.backupId)
    return judgeMirrors(await readMirrors(retake), held)
  },
}

export function judgeMirrors(
  report: MirrorsReport | undefined,
  held: BackupCopies | undefined,
): Outcome<Measurements['mirrors']> {
  const measured = {
    copies: (report?.copies ?? []).map(({ name, state, lag, lagMs }) => ({
      name,
      state,
      ...(lag === undefined ? {} : { missingObjects: lag.missingObjects }),
      ...(lagMs === undefined ? {} : { lagMs }),
    })),
    missing: held?.missing ?? (['copies', 'places', 'offsite'] as const),
  }
  if (!report) return skipped('The repository is in one place; no mirrors are configured.', { measured })
  if (report.unknown.length > 0) {
    return failed(`Copies are not configured here, so nothing can be written: ${report.unknown.join(', ')}.`, {
      severity: 'danger',
      fix: 'add them to mirrors in retake.config.yaml, or: retake repo mirrors --forget NAME',
      measured,
    })
  }
  const away = report.copies.filter(({ state }) => ['unreachable', 'empty', 'foreign'].includes(state))
  if (away.length > 0) {
    const names = away.map(({ name, state }) => `"${name}" (${state})`).join(', ')
    return failed(`Copies that do not count: ${names}.`, { severity: 'warning', fix: 'retake repo mirrors', measured })
  }
  const behind = report.copies.filter(
    ({ state, lag, lagMs }) =>
      state !== 'current' &&
      (state !== 'following' || ((lag?.missingObjects ?? 0) > 0 && (lagMs === undefined || lagMs > LAG_TARGET_MS))),
  )
  if (behind.length > 0) {
    const names = behind
      .map(({ name, lag }) => `"${name}"${lag ? ` lacks ${lag.missingObjects} objects` : ''}`)
      .join(', ')
    return failed(`Copies are behind: ${names}.`, { severity: 'warning', fix: 'retake repo sync', measured })
  }
  return passed(`All ${report.copies.length} copies hold what they should.`, measured)
}

export const disk: HealthCheck<'disk'> = {
  name: 'disk',
  title: 'Space for backups',
  patience: 3,
  run: async (sources) => {
    const { retake } = await sources.retake()
    const { url } = retake.repository
    const directory = directoryOf(url)
    if (directory === undefined) return skipped('A bucket has no free space to look at.')
    const { backups } = await sources.holdings()
    const space = await freeSpace(directory)
    const at = sources.settings.clock.now().toISOString()
    const forecast = forecastDisk(sources.earlier?.disk, { at, ...space })
    return outcomeOf(judgeSpace({ space, backups, url }), { ...space, ...(forecast ? { forecast } : {}) })
  },
}
