/** What the score consists of: each item with its weight, and how its factor comes about. Version 1 of the formula. */

import type { ScoreRule } from './rule.ts'
import { coverageItems, freshnessItems } from './rules-now.ts'
import { alertItems, copiesItems, proofItems, rtoItems, successItems } from './rules-past.ts'

/** Raised with every change of an item, a weight, a curve or a cap: scores of different versions are not comparable. */
export const FORMULA_VERSION = 1

export type PartName = 'proven-recovery' | 'freshness' | 'success' | 'rto' | 'copies' | 'coverage' | 'alerts'

export interface PartRule {
  readonly name: PartName
  readonly title: string
  readonly items: readonly ScoreRule[]
}

/** The weights of all items come to 100. */
export const parts: readonly PartRule[] = [
  { name: 'proven-recovery', title: 'Proven recovery', items: proofItems },
  { name: 'freshness', title: 'Freshness', items: freshnessItems },
  { name: 'success', title: 'Success', items: successItems },
  { name: 'rto', title: 'Measured RTO', items: rtoItems },
  { name: 'copies', title: 'Copies, keys and retention', items: copiesItems },
  { name: 'coverage', title: 'Coverage', items: coverageItems },
  { name: 'alerts', title: 'Alert path', items: alertItems },
]
