/** Whether what people are told arrives: a channel that fails is an alert of its own, told through the others. */
import type { Kysely } from 'kysely'
import { readChannelStates } from '../control/canaries.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { type AlertPolicy, reachOf } from '../monitor/alerts/policy.ts'
import type { ReadPolicy } from '../monitor/alerts/read-policy.ts'
import type { OwnLook } from '../monitor/alerts/rule.ts'
import { failureNow } from '../monitor/channels/channel-state.ts'
import { judgeReport } from './alerting.ts'
import { SERVER_SUBJECT } from './own-subject.ts'

type Db = Kysely<ControlTables>

export async function judgeChannels(
  db: Db,
  { alerts, now }: { readonly alerts: ReadPolicy; readonly now: Date },
): Promise<void> {
  const policies = [alerts.policy, ...Object.values(alerts.clusters)]
  const names = [...new Set(policies.flatMap(reachOf))]
  const report = await lookAtChannels(db, { names, now })
  const policy = policyAround(alerts.policy, report.channels)
  await judgeReport(db, { report, policy, maintenance: alerts.maintenance, now })
}

async function lookAtChannels(
  db: Db,
  { names, now }: { readonly names: readonly string[]; readonly now: Date },
): Promise<OwnLook> {
  const states = await readChannelStates(db, names)
  const channels = states.map((state) => {
    const failing = failureNow(state, now)
    return {
      name: state.name,
      ...(failing ? { failing: { since: failing.since, message: failing.failure.message } } : {}),
    }
  })
  return { cluster: SERVER_SUBJECT, channels }
}

/** All that work are told at once. Where none does, it is told as anything else: it arrives when one works again. */
export function policyAround(policy: AlertPolicy, channels: OwnLook['channels']): AlertPolicy {
  const working = channels.flatMap(({ name, failing }) => (failing ? [] : name))
  if (working.length === 0) return policy
  return { ...policy, levels: [{ channels: working, afterMs: 0 }], routes: [], everybody: working }
}
