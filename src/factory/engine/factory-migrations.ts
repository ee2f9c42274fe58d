/** How the tables of the image factory came to be. */
import { type Kysely, sql } from 'kysely'
import { columnTypes } from '../../database/columns.ts'
import type { DatabaseKind, Migration } from '../../database/database.ts'

/** Images with one value are found in the order of their creation, by which listings go. */
const FOUND_BY = ['owner', 'type', 'status', 'parent_id', 'target', 'name']

export const factoryMigrations: readonly Migration[] = [
  {
    name: 'factory-001',
    async up(db, kind) {
      await createImages(db, kind)
      await createBeside(db, kind)
    },
  },
  {
    name: 'factory-002-owner',
    async up(db, kind) {
      const { integer } = columnTypes(kind)
      await sql`alter table factory_images add column by_owner ${integer} not null default 0`.execute(
        db,
      )
    },
  },
  {
    name: 'factory-003-under-way',
    async up(db) {
      await sql`create index factory_images_under_way on factory_images (owner)
        where status in ('NEW', 'PENDING', 'BUILDING')`.execute(db)
    },
  },
]

async function createImages(db: Kysely<never>, kind: DatabaseKind): Promise<void> {
  const { text, integer } = columnTypes(kind)
  await sql`
    create table factory_images (
      id ${text} primary key not null,
      type ${text} not null,
      status ${text} not null,
      activity ${text} not null,
      error ${text},
      percent ${integer} not null,
      parent_id ${text},
      name ${text},
      template ${text},
      parameters ${text} not null,
      properties ${text} not null,
      builder ${text},
      target ${text},
      provider ${text},
      definition ${text},
      identifier_on_provider ${text},
      provider_account ${text},
      body_id ${text},
      owner ${text},
      user_id ${text},
      request_id ${text} not null,
      attempts ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      started_at ${integer},
      ended_at ${integer},
      failed_by ${text},
      secret_names ${text} not null,
      revision ${integer} not null,
      log_end ${integer} not null,
      log_size ${integer} not null,
      log_head ${integer} not null,
      log_lost ${integer} not null
    )`.execute(db)
  await sql`create index factory_images_newest on factory_images (created_at, id)`.execute(db)
  for (const column of FOUND_BY) {
    const name = sql.ref(`factory_images_${column}`)
    await sql`create index ${name} on factory_images (${sql.ref(column)}, created_at, id)`.execute(
      db,
    )
  }
  await sql`create index factory_images_body on factory_images (body_id)
    where body_id is not null`.execute(db)
}

async function createBeside(db: Kysely<never>, kind: DatabaseKind): Promise<void> {
  const { text, integer, bytes } = columnTypes(kind)
  await sql`
    create table factory_documents (
      image_id ${text} not null,
      kind ${text} not null,
      bytes ${bytes} not null,
      primary key (image_id, kind)
    )`.execute(db)
  await sql`
    create table factory_log (
      image_id ${text} not null,
      sequence ${integer} not null,
      at ${integer} not null,
      kind ${text} not null,
      size ${integer} not null,
      text ${text} not null,
      primary key (image_id, sequence)
    )`.execute(db)
  await sql`
    create table factory_secrets (
      image_id ${text} primary key not null,
      sealed ${bytes} not null
    )`.execute(db)
  await sql`
    create table factory_leftovers (
      image_id ${text} not null,
      part ${text} not null,
      things ${text} not null,
      reason ${text} not null,
      provider ${text},
      definition ${text},
      created_at ${integer} not null,
      primary key (image_id, part)
    )`.execute(db)
}
