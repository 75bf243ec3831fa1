/** Digests of what tests compare: the content of all tables, and the definitions around them. */
import type { Queryable } from '../../src/demo/content-digest.ts'

export { compareDigests, type DatabaseDigest, digestDatabase } from '../../src/demo/content-digest.ts'

/** The definition of each object by `kind name`. */
export type SchemaDigest = Readonly<Record<string, string>>

const OURS = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_(toast_)?temp_'`

const QUERIES: readonly string[] = [
  `select 'schema ' || n.nspname, pg_get_userbyid(nspowner) || ' ' || coalesce(nspacl::text, '') from pg_namespace n where ${OURS}`,
  `select 'relation ' || c.oid::regclass, concat_ws(' ', c.relkind, pg_get_userbyid(c.relowner), c.relacl, c.relrowsecurity,
     c.relforcerowsecurity, c.relpersistence, c.reloptions, obj_description(c.oid, 'pg_class'))
   from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${OURS}`,
  `select 'column ' || c.oid::regclass || '.' || attname, concat_ws(' ', attnum, format_type(atttypid, atttypmod), attnotnull,
     attidentity, attgenerated, attcollation::regcollation, attacl, pg_get_expr(d.adbin, d.adrelid))
   from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where attnum > 0 and not attisdropped and ${OURS}`,
  `select 'constraint ' || conname || ' on ' || conrelid::regclass, concat_ws(' ', pg_get_constraintdef(k.oid), convalidated)
   from pg_constraint k join pg_namespace n on n.oid = k.connamespace where conrelid <> 0 and ${OURS}`,
  `select 'index ' || i.indexrelid::regclass, concat_ws(' ', pg_get_indexdef(i.indexrelid), indisvalid, indisready)
   from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace where ${OURS}`,
  `select 'policy ' || policyname || ' on ' || schemaname || '.' || tablename, concat_ws(' | ', permissive, roles, cmd, qual, with_check)
   from pg_policies`,
  `select 'trigger ' || tgname || ' on ' || tgrelid::regclass, concat_ws(' ', pg_get_triggerdef(oid), tgenabled)
   from pg_trigger where not tgisinternal`,
  `select 'function ' || p.oid::regprocedure, concat_ws(' ', pg_get_functiondef(p.oid), pg_get_userbyid(proowner), proacl)
   from pg_proc p join pg_namespace n on n.oid = p.pronamespace where prokind in ('f', 'p') and ${OURS}`,
  `select 'view ' || c.oid::regclass, pg_get_viewdef(c.oid)
   from pg_class c join pg_namespace n on n.oid = c.relnamespace where relkind in ('v', 'm') and ${OURS}`,
  `select 'enum ' || enumtypid::regtype, string_agg(enumlabel, ',' order by enumsortorder) from pg_enum group by enumtypid`,
  `select 'extension ' || extname, extversion from pg_extension`,
  `select 'publication ' || pubname, concat_ws(' ', puballtables, pubinsert, pubupdate, pubdelete) from pg_publication`,
  `select 'default privileges ' || defaclrole::regrole || ' ' || defaclobjtype::text, string_agg(defaclacl::text, ' ' order by defaclacl::text)
   from pg_default_acl group by defaclrole, defaclobjtype`,
  `select 'role ' || rolname, concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
     rolbypassrls, rolconnlimit, rolconfig) from pg_roles where rolname !~ '^pg_'`,
  `select 'member ' || member::regrole || ' of ' || roleid::regrole, string_agg(admin_option::text, ',' order by admin_option::text)
   from pg_auth_members group by member, roleid`,
  `select 'database ' || datname, concat_ws(' ', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datacl) from pg_database`,
]

export async function digestSchema(sql: Queryable): Promise<SchemaDigest> {
  const digest: Record<string, string> = {}
  await sql.query(`begin transaction isolation level repeatable read, read only`)
  try {
    await sql.query(`set local search_path = ''`)
    for (const query of QUERIES) {
      for (const row of await sql.query<{ k: string; v: string }>(`select * from (${query}) as facts (k, v)`))
        digest[row.k] = row.v
    }
    return digest
  } finally {
    await sql.query('rollback')
  }
}
