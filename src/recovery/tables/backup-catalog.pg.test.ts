import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { installKinds } from '../../../test/support/kinds.ts'
import { protect } from '../../../test/support/lab.ts'
import { postgresMajors, startTestServer } from '../../../test/support/postgres.ts'
import type { RelationRow } from '../../postgres/catalog/catalog-rows.ts'
import { BackupCatalog } from './backup-catalog.ts'

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: the files of catalogs say what the server says`, async () => {
    await using server = await startTestServer({ major })
    await server.query('create role boss superuser login; create role clerk login')
    await installKinds(server)
    // Catalogs that lie in other files than at first, some of them by the map alone.
    for (const catalog of ['pg_class', 'pg_depend', 'pg_index', 'pg_database', 'pg_namespace'])
      await server.query(`vacuum full pg_catalog.${catalog}`)
    await server.query('checkpoint')
    await using lab = await protect(server)
    const backup = await lab.backUp()
    const source = await BackupCatalog.open(lab.cluster, backup)
    assert.deepEqual(await source.superusers(), ['postgres', 'boss'])
    const databases = await source.databases()
    const [own] = await server.query<{ oid: number }>(`select oid::int4 from pg_database where datname = 'postgres'`)
    const database = databases.find(({ oid }) => oid === own?.oid)
    assert.equal(database?.name, 'postgres')
    const catalog = database && (await source.database(database))
    const relations = await server.query<Record<string, unknown>>(`
      select oid::int4, relname::text as name, relnamespace::int4 as namespace, relfilenode::int4 as "fileNumber",
        reltablespace::int4 as tablespace, reltuples::float8 as rows, reltoastrelid::int4 as "toastOid", relpersistence::text as persistence, relkind::text as kind
      from pg_class order by oid`)
    const newest = new Map(catalog?.relations.map((row: RelationRow) => [row.oid, row]))
    assert.deepEqual(
      relations.map(({ oid }) => newest.get(oid as number)),
      relations,
    )
    const names = await server.query<{ oid: number; name: string }>(
      `select oid::int4, nspname::text as name from pg_namespace`,
    )
    for (const name of names) assert(catalog?.namespaces.some((one) => one.oid === name.oid && one.name === name.name))
    const parts = await server.query<{ part: number; whole: number }>(`
      select indexrelid::int4 as part, indrelid::int4 as whole from pg_index union all
      select inhrelid::int4, inhparent::int4 from pg_inherits union all
      select objid::int4, refobjid::int4 from pg_depend where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass
        and deptype in ('a', 'i')`)
    const found = new Set(catalog?.parts.map(({ part, whole }) => `${part} ${whole}`))
    assert.deepEqual(
      parts.filter(({ part, whole }) => !found.has(`${part} ${whole}`)),
      [],
    )
  })
}
