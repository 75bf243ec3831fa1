/** Why nobody is told of an alert: another one explains it, or it is a quiet time. Pure. */
import type { QuietTime } from './policy.ts'
import type { AlertRule } from './rule.ts'
import { isSilenced } from './shown.ts'
import { type AlertMemory, isOver } from './state.ts'

/**
 * While what explains it holds, nobody is told of it: also before that has fired, unless that waits longer than it does. A failed backup
 * is told in minutes, though after hours without one the graver alert takes its place.
 */
export function explain(alerts: readonly AlertMemory[], rules: readonly AlertRule[]): AlertMemory[] {
  const byName = new Map(rules.map((rule) => [rule.name, rule]))
  const holding = new Map(alerts.filter((alert) => !isOver(alert)).map((alert) => [alert.rule, alert]))
  return alerts.map((alert) => {
    const { inhibitedBy: _before, ...rest } = alert
    const rule = byName.get(alert.rule)
    if (!rule || isOver(alert)) return rest
    const explains = (name: string) =>
      holding.get(name)?.phase === 'firing' || (byName.get(name)?.forMs ?? 0) <= rule.forMs
    const why = rule.inhibitedBy.find((name) => holding.has(name) && explains(name))
    const key = why === undefined ? undefined : holding.get(why)?.key
    return key === undefined ? rest : { ...rest, inhibitedBy: key }
  })
}

export function quieten(
  alerts: readonly AlertMemory[],
  { quiet, now }: { readonly quiet: readonly QuietTime[]; readonly now: Date },
): AlertMemory[] {
  const open = quiet.filter(({ from, until }) => from <= now && now < until)
  return alerts.map((alert) => {
    const { isInMaintenance: _before, ...rest } = alert
    const isQuiet = open.some(({ rules }) => rules === undefined || rules.includes(alert.rule))
    return pause(isQuiet ? { ...rest, isInMaintenance: true } : rest, now)
  })
}

/** Whoever was told and then left in peace has afterwards as much time to answer as was left before. */
function pause(alert: AlertMemory, now: Date): AlertMemory {
  const { quietSince, ...rest } = alert
  const { told } = alert
  if (alert.phase !== 'firing' || !told) return rest
  if (alert.inhibitedBy !== undefined || isSilenced(alert, now)) {
    return { ...rest, quietSince: quietSince ?? now.toISOString() }
  }
  if (quietSince === undefined) return rest
  const levelAtMs = Date.parse(told.levelAt) + now.getTime() - Date.parse(quietSince)
  return { ...rest, told: { ...told, levelAt: new Date(levelAtMs).toISOString() } }
}
