/** Alerts, as the API shows them. */
import { decodeCursor, encodeCursor } from '../../api/pages.ts'
import type { AlertServices } from '../../api/services.ts'
import { RetakeError } from '../../base/errors.ts'
import { listAlerts, readAlert, type StoredAlert } from '../../control/alerts.ts'
import { policyOf, type ReadPolicy } from '../../monitor/alerts/read-policy.ts'
import { acknowledgeAlert, snoozeAlert } from '../alerting.ts'
import { callerName } from './notice-services.ts'
import type { ServiceParts } from './parts.ts'

export function alertServices({ db, now }: ServiceParts, alerts: ReadPolicy): AlertServices {
  const actOn = async (key: string, act: (alert: StoredAlert) => Promise<StoredAlert | undefined>) => {
    const found = await readAlert(db, key)
    if (!found) return undefined
    const changed = await act(found.alert)
    if (!changed) throw new RetakeError('api.conflict', 'The alert is resolved.')
    return changed
  }
  return {
    listAlerts: async ({ cluster, state, severity, cursor, limit }) => {
      const [since, key = ''] = cursor === undefined ? [] : decodeCursor(cursor)
      const before = since === undefined ? undefined : { since: new Date(since), key }
      const found = await listAlerts(db, { cluster, state, severity, before, limit: limit + 1 })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return { items, ...(last && found.length > limit ? { next: encodeCursor([last.since, last.key]) } : {}) }
    },
    readAlert: async (key) => {
      const found = await readAlert(db, key)
      if (!found) return undefined
      const history = found.history.map(({ key: _key, at, ...change }) => ({ at: at.toISOString(), ...change }))
      return { ...found.alert, history }
    },
    acknowledgeAlert: async (key, { by, note }, call) =>
      actOn(key, ({ cluster }) =>
        acknowledgeAlert(db, {
          cluster,
          key,
          by: by ?? callerName(call),
          note,
          now: now(),
          policy: policyOf(alerts, cluster),
        }),
      ),
    snoozeAlert: async (key, { by, note, minutes }, call) =>
      actOn(key, ({ cluster }) =>
        snoozeAlert(db, { cluster, key, by: by ?? callerName(call), note, now: now(), minutes }),
      ),
  }
}
