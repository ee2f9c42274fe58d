import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database, Migration, Tx } from '../database/database.ts'
import { checkUnprotected } from './definitions.ts'
import type { Metadefs, Namespace, NamespaceQuery, ResourceTypeAssociation } from './metadefs.ts'

/** Times are milliseconds since 1970; `document` is the rest of the namespace, as JSON. */
interface NamespaceTable {
  name: string
  owner: string | null
  visibility: string
  created_at: number
  updated_at: number
  document: string
}

interface MetadefTables {
  metadef_namespaces: NamespaceTable
}

export const metadefMigrations: readonly Migration[] = [
  {
    name: 'metadefs-001',
    up: async (db) => {
      await db.schema
        .createTable('metadef_namespaces')
        .addColumn('name', 'varchar(80)', (column) => column.primaryKey())
        .addColumn('owner', 'varchar(255)')
        .addColumn('visibility', 'varchar(10)', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .addColumn('document', 'text', (column) => column.notNull())
        .execute()
    },
  },
]

const SORT_COLUMNS = {
  namespace: 'name',
  created_at: 'created_at',
  updated_at: 'updated_at',
} as const

/** Metadata definitions in a database that has their table. */
export function openMetadefs(database: Database, { now }: Pick<Context, 'now'>): Metadefs {
  const get = async (name: string, tx?: Tx) => {
    const db = tx?.as<MetadefTables>() ?? database.read<MetadefTables>()
    const row = await db
      .selectFrom('metadef_namespaces')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst()
    return row && toNamespace(row)
  }
  const found = async (name: string, tx?: Tx) => {
    const namespace = await get(name, tx)
    if (namespace !== undefined) return namespace
    throw new Failure('DEFINITION_NOT_FOUND', `no metadata definition namespace ${name}`)
  }
  const checkName = async (name: string, tx: Tx) => {
    if ((await get(name, tx)) === undefined) return
    throw new Failure(
      'DEFINITION_EXISTS',
      `there is a metadata definition namespace ${name} already`,
    )
  }
  return {
    get,
    list: async (query) => await list(database, query, found),
    create: async (namespace) =>
      await database.write(async (tx) => {
        await checkName(namespace.namespace, tx)
        await tx
          .as<MetadefTables>()
          .insertInto('metadef_namespaces')
          .values(toRow(namespace))
          .execute()
        return namespace
      }),
    change: async (name, change) =>
      await database.write(async (tx) => {
        const changed = { ...change(await found(name, tx)), updatedAt: now() }
        if (changed.namespace !== name) await checkName(changed.namespace, tx)
        await tx
          .as<MetadefTables>()
          .updateTable('metadef_namespaces')
          .set(toRow(changed))
          .where('name', '=', name)
          .execute()
        return changed
      }),
    delete: async (name) =>
      await database.write(async (tx) => {
        checkUnprotected(await found(name, tx))
        await tx
          .as<MetadefTables>()
          .deleteFrom('metadef_namespaces')
          .where('name', '=', name)
          .execute()
      }),
    resourceTypes: async () => {
      const rows = await database
        .read<MetadefTables>()
        .selectFrom('metadef_namespaces')
        .selectAll()
        .orderBy('name')
        .execute()
      const types = new Map<string, ResourceTypeAssociation>()
      for (const row of rows)
        for (const one of toNamespace(row).resourceTypes)
          if (!types.has(one.name)) types.set(one.name, one)
      return [...types.values()]
    },
  }
}

async function list(
  database: Database,
  { viewer, visibility, resourceTypes, sort, limit, after }: NamespaceQuery,
  found: (name: string) => Promise<Namespace>,
): Promise<Namespace[]> {
  const column = SORT_COLUMNS[sort.key]
  const comparison = sort.direction === 'asc' ? '>' : '<'
  let query = database.read<MetadefTables>().selectFrom('metadef_namespaces').selectAll()
  if (!viewer.all)
    query = query.where((where) =>
      where.or([where('visibility', '=', 'public'), where('owner', '=', viewer.project)]),
    )
  if (visibility !== undefined) query = query.where('visibility', '=', visibility)
  if (after !== undefined) {
    const last = toRow(await found(after))
    const behind = sql<boolean>`(${sql.ref(column)}, name) ${sql.raw(comparison)} (${last[column]}, ${last.name})`
    query = query.where(behind)
  }
  query = query.orderBy(column, sort.direction).orderBy('name', sort.direction)
  // What a namespace is for stands in its document; there are hundreds of them, not millions.
  const rows = await (resourceTypes === undefined ? query.limit(limit) : query).execute()
  return rows
    .map(toNamespace)
    .filter(
      (one) =>
        resourceTypes?.some((type) => one.resourceTypes.some(({ name }) => name === type)) ?? true,
    )
    .slice(0, limit)
}

function toRow(namespace: Namespace): NamespaceTable {
  const { namespace: name, owner, visibility, createdAt, updatedAt, ...rest } = namespace
  return {
    name,
    owner,
    visibility,
    created_at: createdAt.getTime(),
    updated_at: updatedAt.getTime(),
    document: JSON.stringify(rest),
  }
}

function toNamespace(row: Selectable<NamespaceTable>): Namespace {
  const document = JSON.parse(row.document, (key, value: unknown) =>
    (key === 'createdAt' || key === 'updatedAt') && typeof value === 'string'
      ? new Date(value)
      : value,
  ) as Omit<Namespace, 'namespace' | 'owner' | 'visibility' | 'createdAt' | 'updatedAt'>
  return {
    ...document,
    namespace: row.name,
    owner: row.owner,
    visibility: row.visibility as Namespace['visibility'],
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  }
}
