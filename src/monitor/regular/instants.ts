/** Moments as people of a time zone read them, always with their offset (R12). Pure. */

/** `2026-11-23 09:00 +01:00`, `2026-11-23 08:00 UTC`. */
export function instantIn(zone: string): (instant: Date | string) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  })
  return (instant) => {
    const parts = new Map(format.formatToParts(new Date(instant)).map(({ type, value }) => [type, value]))
    const at = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? ''
    const offset = at('timeZoneName').replace('GMT', '')
    return `${at('year')}-${at('month')}-${at('day')} ${at('hour')}:${at('minute')} ${offset === '' || offset === '+00:00' ? 'UTC' : offset}`
  }
}

/** `40 min`, `6 h`, `3 days`: of a length, what is told of it beside an instant. */
export function roughly(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  if (minutes < 90) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`
}
