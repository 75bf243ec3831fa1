/** When a key is due to be replaced. Pure. */

const DAY_MS = 86_400_000

export interface RotationDue {
  /** ISO 8601 UTC; absent without a policy. */
  readonly dueAt?: string | undefined
  readonly due: boolean
}

/** @param days how long a key is used; undefined: for ever */
export function judgeRotation(
  createdAt: string,
  options: { readonly days: number | undefined; readonly now: Date },
): RotationDue {
  const createdMs = Date.parse(createdAt)
  if (options.days === undefined || Number.isNaN(createdMs)) return { due: false }
  const dueMs = createdMs + options.days * DAY_MS
  return { dueAt: new Date(dueMs).toISOString(), due: dueMs <= options.now.getTime() }
}
