import type { CriticalTable } from '../../engine/config-options.ts'

/** The tables of CineTrack, the sample application, and how much the loss of each would hurt. */
export const cineTrackCriticalTables: readonly CriticalTable[] = [
  { table: 'public.users', tier: 'high' },
  { table: 'public.watched_content', tier: 'high' },
  { table: 'public.reviews', tier: 'high' },
  { table: 'public.custom_lists', tier: 'high' },
  { table: 'public.watchlist', tier: 'high' },
  { table: 'public.follows', tier: 'medium' },
  { table: 'public.notifications', tier: 'medium' },
  { table: 'public.review_interactions', tier: 'medium' },
  { table: 'public.episode_tracking', tier: 'low' },
  { table: 'public.activity_feed', tier: 'low' },
]

/** Some of the names are common; with so many of them, a database is one of CineTrack. */
export const CINETRACK_TABLES_AT_LEAST = 5
