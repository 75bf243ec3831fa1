import { backup } from './backup.ts'
import { keys, retention } from './keeping.ts'
import { massDeletions } from './mass-deletions.ts'
import { nativeBackups } from './native-backups.ts'
import { drill, verification } from './proof.ts'
import { disk, mirrors, repository } from './repository.ts'
import type { AnyHealthCheck } from './run-checks.ts'
import { schedules } from './schedules.ts'
import { clock, configuration, connectivity } from './server.ts'
import { slot } from './slot.ts'
import { criticalTables } from './tables.ts'
import { exposure, wal } from './wal.ts'

/** In the order in which a person reads them: can we recover, is it fed, is it kept, is it proven. */
export const allChecks: readonly AnyHealthCheck[] = [
  connectivity,
  repository,
  backup,
  schedules,
  wal,
  exposure,
  slot,
  criticalTables,
  massDeletions,
  verification,
  drill,
  retention,
  keys,
  mirrors,
  nativeBackups,
  disk,
  clock,
  configuration,
]
