/** CineTrack's ten tables and how much their loss would hurt: the one place that says so. */

export type Tier = 'high' | 'medium' | 'low'

export interface TieredTable {
  readonly schema: 'public'
  readonly name: string
  readonly tier: Tier
  readonly holds: string
}

export const cineTrackTables: readonly TieredTable[] = [
  { schema: 'public', name: 'users', tier: 'high', holds: 'user accounts and profiles' },
  { schema: 'public', name: 'watched_content', tier: 'high', holds: 'what users have watched' },
  { schema: 'public', name: 'reviews', tier: 'high', holds: 'reviews that users wrote' },
  { schema: 'public', name: 'custom_lists', tier: 'high', holds: 'lists that users made' },
  { schema: 'public', name: 'watchlist', tier: 'high', holds: 'what users want to watch' },
  { schema: 'public', name: 'follows', tier: 'medium', holds: 'who follows whom' },
  { schema: 'public', name: 'notifications', tier: 'medium', holds: 'what users were told' },
  { schema: 'public', name: 'review_interactions', tier: 'medium', holds: 'likes and comments' },
  { schema: 'public', name: 'episode_tracking', tier: 'low', holds: 'progress through the episodes of series' },
  { schema: 'public', name: 'activity_feed', tier: 'low', holds: 'what users did' },
]

/** Tables that hold no user's data of their own but without which the ten do not work. */
export const supportingTables: readonly string[] = ['public.titles', 'public.custom_list_items']
