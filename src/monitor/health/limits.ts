/** Limits of the formula. Those that people choose are in the configuration. */
const DAY_MS = 86_400_000

/** A drill each month, and five days of grace for long months and holidays. */
export const DRILL_INTERVAL_MS = 36 * DAY_MS
/** A kit that nobody tried for so long may no longer be where it should be. */
export const KIT_PROOF_MAX_AGE_MS = 180 * DAY_MS

/** Targets that the described system fixes. */
export const COMPLETION_TARGET_MS = 30 * 60_000
export const SUCCESS_TARGET = 0.999
/** A canary each week. */
export const ALERT_PATH_TARGET_MS = 7 * DAY_MS
