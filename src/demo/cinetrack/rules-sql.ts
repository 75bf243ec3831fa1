/** What is added when the data is there: keys, indexes, triggers, row-level security. Adding the foreign keys also checks the data. */
import { cineTrackTables, supportingTables } from './tiers.ts'

const keysSql = `
alter table public.users add foreign key (id) references auth.users (id) on delete cascade;
alter table public.watched_content
  add foreign key (user_id) references public.users (id) on delete cascade,
  add foreign key (title_id) references public.titles (id);
alter table public.reviews
  add foreign key (user_id) references public.users (id) on delete cascade,
  add foreign key (title_id) references public.titles (id);
alter table public.custom_lists add foreign key (user_id) references public.users (id) on delete cascade;
alter table public.custom_list_items
  add foreign key (list_id) references public.custom_lists (id) on delete cascade,
  add foreign key (title_id) references public.titles (id);
alter table public.watchlist
  add foreign key (user_id) references public.users (id) on delete cascade,
  add foreign key (title_id) references public.titles (id);
alter table public.follows
  add foreign key (follower_id) references public.users (id) on delete cascade,
  add foreign key (followed_id) references public.users (id) on delete cascade;
alter table public.notifications
  add foreign key (user_id) references public.users (id) on delete cascade,
  add foreign key (actor_id) references public.users (id) on delete set null;
alter table public.review_interactions
  add foreign key (review_id) references public.reviews (id) on delete cascade,
  add foreign key (user_id) references public.users (id) on delete cascade;
alter table public.episode_tracking
  add foreign key (user_id) references public.users (id) on delete cascade,
  add foreign key (title_id) references public.titles (id);
alter table public.activity_feed add foreign key (user_id) references public.users (id) on delete cascade;
`

const indexesSql = `
create unique index users_username_key on public.users (username);
create index users_genres_idx on public.users using gin (favourite_genres);
create unique index titles_tmdb_key on public.titles (kind, tmdb_id);
create index titles_genres_idx on public.titles using gin (genres);
create index titles_name_idx on public.titles (lower(name) text_pattern_ops);
create index titles_metadata_idx on public.titles using gin (metadata jsonb_path_ops);
create index watched_content_user_idx on public.watched_content (user_id, watched_at desc);
create index watched_content_title_idx on public.watched_content (title_id);
create unique index watched_content_first_key on public.watched_content (user_id, title_id) where not rewatch;
create index reviews_title_idx on public.reviews (title_id, created_at desc) where status = 'published';
create index reviews_user_idx on public.reviews (user_id);
create index reviews_search_idx on public.reviews using gin (search);
create index reviews_tags_idx on public.reviews using gin (tags);
create index custom_lists_user_idx on public.custom_lists (user_id);
create index custom_list_items_title_idx on public.custom_list_items (title_id);
create index watchlist_remind_idx on public.watchlist (remind_at) where remind_at is not null;
create index follows_followed_idx on public.follows (followed_id);
create index notifications_unread_idx on public.notifications (user_id, created_at desc) where read_at is null;
create index notifications_actor_idx on public.notifications using hash (actor_id);
create unique index review_interactions_like_key on public.review_interactions (review_id, user_id) where kind = 'like';
create index review_interactions_review_idx on public.review_interactions (review_id, created_at);
create index review_interactions_user_idx on public.review_interactions (user_id);
create index episode_tracking_title_idx on public.episode_tracking (title_id);
create index activity_feed_user_idx on public.activity_feed (user_id, id desc);
create index activity_feed_time_idx on public.activity_feed using brin (occurred_at);
`

/** The functions run with their owner's rights, because they write rows of other users than the one who is signed in. */
const triggersSql = `
create function public.touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end $$;
create trigger users_touch before update on public.users for each row execute function public.touch_updated_at();
create trigger watched_content_touch before update on public.watched_content for each row execute function public.touch_updated_at();
create trigger reviews_touch before update on public.reviews for each row execute function public.touch_updated_at();
create trigger custom_lists_touch before update on public.custom_lists for each row execute function public.touch_updated_at();

create function public.count_follow() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  step integer := case tg_op when 'INSERT' then 1 else -1 end;
  line public.follows := case tg_op when 'INSERT' then new else old end;
begin
  update public.users set following_count = following_count + step where id = line.follower_id;
  update public.users set follower_count = follower_count + step where id = line.followed_id;
  return null;
end $$;
create trigger follows_count after insert or delete on public.follows for each row execute function public.count_follow();

create function public.count_review() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    update public.users set review_count = review_count + 1 where id = new.user_id;
  else
    update public.users set review_count = review_count - 1 where id = old.user_id;
  end if;
  return null;
end $$;
create trigger reviews_count after insert or delete on public.reviews for each row execute function public.count_review();

create function public.count_interaction() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  step integer := case tg_op when 'INSERT' then 1 else -1 end;
  line public.review_interactions := case tg_op when 'INSERT' then new else old end;
begin
  update public.reviews set
    like_count = like_count + case line.kind when 'like' then step else 0 end,
    comment_count = comment_count + case line.kind when 'comment' then step else 0 end
  where id = line.review_id;
  return null;
end $$;
create trigger review_interactions_count after insert or delete on public.review_interactions
  for each row execute function public.count_interaction();

create function public.count_list_item() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    update public.custom_lists set item_count = item_count + 1 where id = new.list_id;
  else
    update public.custom_lists set item_count = item_count - 1 where id = old.list_id;
  end if;
  return null;
end $$;
create trigger custom_list_items_count after insert or delete on public.custom_list_items
  for each row execute function public.count_list_item();

create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.users (id, username, display_name, country, created_at, updated_at)
  values (
    new.id,
    coalesce(new.raw_user_meta_data ->> 'username', 'user_' || substr(replace(new.id::text, '-', ''), 1, 20)),
    coalesce(new.raw_user_meta_data ->> 'display_name', 'New viewer'),
    new.raw_user_meta_data ->> 'country',
    coalesce(new.created_at, now()),
    coalesce(new.created_at, now())
  );
  return new;
end $$;
`

/** table, and the column that says whose row it is. */
const OWNED: readonly (readonly [string, string])[] = [
  ['users', 'id'],
  ['watched_content', 'user_id'],
  ['reviews', 'user_id'],
  ['custom_lists', 'user_id'],
  ['watchlist', 'user_id'],
  ['follows', 'follower_id'],
  ['notifications', 'user_id'],
  ['review_interactions', 'user_id'],
  ['episode_tracking', 'user_id'],
  ['activity_feed', 'user_id'],
]

const policiesSql = [
  ...[...cineTrackTables.map((table) => `public.${table.name}`), ...supportingTables].map(
    (table) => `alter table ${table} enable row level security;`,
  ),
  ...OWNED.map(
    ([table, column]) =>
      `create policy "${table}: own rows" on public.${table} for all to authenticated
  using (${column} = (select auth.uid())) with check (${column} = (select auth.uid()));`,
  ),
  `create policy "profiles are public" on public.users for select using (true);
create policy "titles are public" on public.titles for select using (true);
create policy "published reviews are public" on public.reviews for select using (status = 'published');
create policy "public lists are public" on public.custom_lists for select using (is_public);
create policy "follows are public" on public.follows for select using (true);
create policy "interactions are public" on public.review_interactions for select using (true);
create policy "items of visible lists" on public.custom_list_items for select
  using (exists (select from public.custom_lists l where l.id = list_id and (l.is_public or l.user_id = (select auth.uid()))));
create policy "items of own lists" on public.custom_list_items for all to authenticated
  using (exists (select from public.custom_lists l where l.id = list_id and l.user_id = (select auth.uid())))
  with check (exists (select from public.custom_lists l where l.id = list_id and l.user_id = (select auth.uid())));
create policy "anybody signed in may notify" on public.notifications for insert to authenticated
  with check (actor_id = (select auth.uid()));
create policy "activity of people one follows" on public.activity_feed for select to authenticated
  using (exists (select from public.follows f where f.followed_id = user_id and f.follower_id = (select auth.uid())));`,
].join('\n')

export const rulesSql = `
set role postgres;
${keysSql}${indexesSql}${triggersSql}${policiesSql}
create view public.review_summary with (security_invoker = true) as
  select title_id, count(*) as reviews, avg(rating)::numeric(4, 2) as rating, max(created_at) as latest
  from public.reviews where status = 'published' group by title_id;
create materialized view public.popular_titles as
  select t.id, t.name, count(*) as watched, avg(w.rating)::numeric(4, 2) as rating
  from public.titles t join public.watched_content w on w.title_id = t.id group by t.id, t.name;
create unique index popular_titles_key on public.popular_titles (id);
comment on table public.reviews is 'Reviews that users wrote; high priority.';
reset role;

set role supabase_auth_admin;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
reset role;

insert into supabase_migrations.schema_migrations (version, name, statements) values
  ('20241201000000', 'initial_schema', null), ('20241207093000', 'row_level_security', null);
`
