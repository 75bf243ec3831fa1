/** The services of the API, over the control database and the clusters of this server. */
import type { ChangeFeed } from '../../api/change-feed.ts'
import type { ApiServices } from '../../api/services.ts'
import type { Server } from '../parts.ts'
import { staleAfterMs } from '../stale.ts'
import { alertServices } from './alert-services.ts'
import { clusterServices, type NamedEvent } from './cluster-services.ts'
import { maintenanceServices, noticeServices } from './notice-services.ts'
import type { ServiceParts } from './parts.ts'
import { runServices } from './run-services.ts'
import { serverServices } from './server-services.ts'

export function openServices(server: Server, changes: ChangeFeed<NamedEvent>): ApiServices {
  const { id, control, clusters, config, env, logger } = server
  const startedAt = new Date()
  const parts: ServiceParts = {
    control,
    db: control.db,
    clusters,
    logger,
    now: () => new Date(),
    staleAfterMs: staleAfterMs(config.checkMs),
  }
  return {
    ...clusterServices(parts, changes),
    ...runServices(parts, server),
    ...alertServices(parts, config.alerts),
    ...noticeServices({ ...parts, channels: config.channels, env }),
    ...maintenanceServices({ ...parts, regular: config.alerts.maintenance }),
    ...serverServices(parts, { id, startedAt }),
  }
}
