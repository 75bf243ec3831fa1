/** CineTrack's ten tables, as its backup strategy ranks them: what is watched when nothing else is asked for. */

export type TableTier = 'high' | 'medium' | 'low'

export interface CriticalTable {
  /** Default `public`; it must be one that the REST endpoint exposes. */
  readonly schema?: string | undefined
  readonly name: string
  readonly tier: TableTier
}

export const CINETRACK_TABLES: readonly CriticalTable[] = [
  { name: 'users', tier: 'high' },
  { name: 'watched_content', tier: 'high' },
  { name: 'reviews', tier: 'high' },
  { name: 'custom_lists', tier: 'high' },
  { name: 'watchlist', tier: 'high' },
  { name: 'follows', tier: 'medium' },
  { name: 'notifications', tier: 'medium' },
  { name: 'review_interactions', tier: 'medium' },
  { name: 'episode_tracking', tier: 'low' },
  { name: 'activity_feed', tier: 'low' },
]
