/** How the tables of the catalog came to be. */
import { type Kysely, sql } from 'kysely'
import { columnTypes } from '../database/columns.ts'
import type { DatabaseKind, Migration } from '../database/database.ts'

/** Keys of listings that have an index for all images, for those of one owner, and for public and community ones. */
const MAIN_KEYS = ['created_at', 'updated_at', 'name', 'size']
/** Keys that have one for all images only. */
const OTHER_KEYS = ['status', 'container_format', 'disk_format']
/** Of these, images with one value are found in the order of their creation, by which listings go by default. */
const FOUND_BY = ['owner', 'visibility', 'status', 'name', 'checksum', 'hash_value']

export const catalogMigrations: readonly Migration[] = [
  {
    name: 'images-001',
    async up(db, kind) {
      await createTables(db, kind)
      await createIndexes(db, kind)
    },
  },
  {
    name: 'images-002-counts',
    async up(db) {
      await sql`create index images_counts on images (status, visibility, id)`.execute(db)
    },
  },
]

async function createTables(db: Kysely<never>, kind: DatabaseKind): Promise<void> {
  const { text, integer, bytes } = columnTypes(kind)
  // a table that is nothing but its key needs no second copy of that key
  const keyOnly = kind === 'sqlite' ? sql` without rowid` : sql``
  await sql`
    create table images (
      id ${text} primary key not null,
      name ${text},
      status ${text} not null,
      visibility ${text} not null,
      protected ${integer} not null,
      hidden ${integer} not null,
      checksum ${text},
      hash_algorithm ${text},
      hash_value ${text},
      owner ${text},
      size ${integer},
      virtual_size ${integer},
      container_format ${text},
      disk_format ${text},
      min_ram ${integer} not null,
      min_disk ${integer} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      tags ${text} not null,
      properties ${text} not null,
      locations ${text} not null,
      revision ${integer} not null,
      busy ${integer} not null,
      stored_size ${integer} not null,
      staged_size ${integer} not null
    )`.execute(db)
  await sql`
    create table image_tags (
      tag ${text} not null,
      created_at ${integer} not null,
      image_id ${text} not null,
      primary key (tag, created_at, image_id)
    )${keyOnly}`.execute(db)
  await sql`
    create table image_properties (
      name ${text} not null,
      value ${text} not null,
      created_at ${integer} not null,
      image_id ${text} not null,
      primary key (name, value, created_at, image_id)
    )${keyOnly}`.execute(db)
  await sql`
    create table image_locations (
      object ${text} not null,
      location_id ${text} not null,
      primary key (object, location_id)
    )${keyOnly}`.execute(db)
  await sql`
    create table image_members (
      image_id ${text} not null,
      member ${text} not null,
      status ${text} not null,
      created_at ${integer} not null,
      updated_at ${integer} not null,
      image_created_at ${integer} not null,
      primary key (image_id, member)
    )`.execute(db)
  await sql`
    create table image_attachments (
      image_id ${text} not null,
      kind ${text} not null,
      bytes ${bytes} not null,
      primary key (image_id, kind)
    )`.execute(db)
}

async function createIndexes(db: Kysely<never>, kind: DatabaseKind): Promise<void> {
  const create = async (name: string, on: string, where = '') => {
    await sql.raw(`create index ${name} on ${on}${where && ` where ${where}`}`).execute(db)
  }
  // nothing sorts before all values: SQLite's way, which PostgreSQL has to be told
  const sorted = (key: string) => `${key}${kind === 'postgres' ? ' nulls first' : ''}, id`
  for (const key of [...MAIN_KEYS, ...OTHER_KEYS])
    await create(`images_${key}`, `images (${sorted(key)})`)
  for (const key of FOUND_BY)
    await create(
      `images_${key}_created_at`,
      `images (${key}, ${sorted('created_at')})`,
      key === 'checksum' || key === 'hash_value' ? `${key} is not null` : '',
    )
  for (const key of MAIN_KEYS.filter((one) => one !== 'created_at')) {
    await create(`images_owner_${key}`, `images (owner, ${sorted(key)})`)
    for (const visibility of ['public', 'community'])
      await create(
        `images_${visibility}_${key}`,
        `images (${sorted(key)})`,
        `visibility = '${visibility}'`,
      )
  }
  await create('images_usage', 'images (owner, status, busy, stored_size, staged_size)')
  await create('images_hidden', 'images (created_at, id)', 'hidden = 1')
  await create('images_protected', 'images (created_at, id)', 'protected = 1')
  await create('image_members_member', 'image_members (member, status, image_created_at, image_id)')
}
