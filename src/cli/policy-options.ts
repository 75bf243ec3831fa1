/** What `prune` and `retention simulate` share: the policy of the command line, and how one is said. */

import { RetakeError } from '../base/errors.ts'
import type { RetentionPolicy } from '../catalog/retention/policy.ts'
import type { OptionValues } from './command.ts'
import { optionInteger, optionNumber } from './options.ts'

/** @throws RetakeError `config.invalid` */
export function policyOptions(options: OptionValues): Partial<RetentionPolicy> {
  const days = { min: 0, max: 36_500 }
  const count = { min: 0, max: 100_000 }
  const given = {
    days: optionNumber(options.keepDays, { name: '--keep-days', ...days }),
    walDays: optionNumber(options.keepWalDays, { name: '--keep-wal-days', ...days }),
    count: optionInteger(options.keepCount, { name: '--keep-count', ...count }),
    daily: optionInteger(options.keepDaily, { name: '--keep-daily', ...count }),
    weekly: optionInteger(options.keepWeekly, { name: '--keep-weekly', ...count }),
    monthly: optionInteger(options.keepMonthly, { name: '--keep-monthly', ...count }),
    yearly: optionInteger(options.keepYearly, { name: '--keep-yearly', ...count }),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** `24h`, `30m`, `7d` as hours. @throws RetakeError `config.invalid` */
export function durationHours(text: string, name: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([mhd])$/.exec(text) ?? []
  const hours = Number(digits) * ({ m: 1 / 60, h: 1, d: 24 }[unit ?? ''] ?? Number.NaN)
  if (hours >= 1 / 60) return hours
  throw new RetakeError('config.invalid', `${name} takes a duration of at least a minute.`, {
    hint: `Write ${name} 24h, 30m or 7d, not ${text}.`,
  })
}

export function describePolicy(policy: RetentionPolicy): string {
  const parts = [`${policy.days} days`]
  if (policy.walDays !== undefined) parts.push(`any moment of ${policy.walDays} days`)
  if (policy.count) parts.push(`the newest ${policy.count}`)
  for (const period of ['daily', 'weekly', 'monthly', 'yearly'] as const)
    if (policy[period]) parts.push(`${policy[period]} ${period}`)
  return parts.join(', ')
}
