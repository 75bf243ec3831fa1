/**
 * A small stand-in for what Supabase puts into a database before the customer's own tables: roles, schemas, default privileges.
 * Safe to run on a cluster whose bootstrap superuser is `supabase_admin` (as on Supabase) or `postgres` (as elsewhere).
 */

/** name, and its attributes after CREATE ROLE. */
const ROLES: readonly (readonly [string, string])[] = [
  ['supabase_admin', 'superuser createdb createrole login replication bypassrls'],
  ['postgres', 'nosuperuser createdb createrole login replication bypassrls'],
  ['anon', 'nologin inherit'],
  ['authenticated', 'nologin inherit'],
  ['service_role', 'nologin inherit bypassrls'],
  ['authenticator', 'login noinherit'],
  ['supabase_auth_admin', 'login noinherit createrole'],
  ['supabase_storage_admin', 'login noinherit createrole'],
  ['supabase_replication_admin', 'login replication'],
  ['supabase_read_only_user', 'login bypassrls'],
  ['supabase_realtime_admin', 'nologin noinherit'],
  ['supabase_functions_admin', 'login noinherit createrole'],
  ['dashboard_user', 'nologin createdb createrole replication'],
  ['pgbouncer', 'login'],
]

const createRoles = ROLES.map(
  ([name, attributes]) =>
    `if not exists (select from pg_roles where rolname = '${name}') then create role ${name} ${attributes}; end if;`,
).join('\n  ')

export const platformSql = `
do $$ begin
  ${createRoles}
end $$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant authenticator to supabase_storage_admin;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
grant pg_read_all_data to supabase_read_only_user;
do $$ begin execute format('grant all on database %I to postgres', current_database()); end $$;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;

create schema if not exists extensions;
create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists storage authorization supabase_storage_admin;
create schema if not exists realtime authorization supabase_realtime_admin;
create schema if not exists supabase_migrations;
do $$ declare extension text; begin
  foreach extension in array array['pgcrypto', 'uuid-ossp'] loop
    if exists (select from pg_available_extensions where name = extension) then
      execute format('create extension if not exists %I with schema extensions', extension);
    end if;
  end loop;
end $$;

create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);

grant usage on schema public, extensions, auth, storage to postgres, anon, authenticated, service_role;
grant create on schema public to postgres;
alter default privileges for role postgres in schema public grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on sequences to postgres, anon, authenticated, service_role;

create publication supabase_realtime;
`
