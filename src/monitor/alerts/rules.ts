/** Every rule. One of the same name in `monitoring/retake.rules.yaml` is meant for who has Prometheus instead. */
import type { AlertRule } from './rule.ts'
import { backupRules } from './rules/backups.ts'
import { keepingRules } from './rules/keeping.ts'
import { knowingRules } from './rules/knowing.ts'
import { recoveryRules } from './rules/recovery.ts'
import { tableRules } from './rules/tables.ts'

export const alertRules: readonly AlertRule[] = [
  ...recoveryRules,
  ...backupRules,
  ...tableRules,
  ...keepingRules,
  ...knowingRules,
]
