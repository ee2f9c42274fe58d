/** The catalog, in the tables of `_catalog-tables.ts`. */
import { CompiledQuery, type Kysely, type Transaction } from 'kysely'
import { makeContext, type Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database, Tx } from '../database/database.ts'
import { countImages } from './_catalog-counts.ts'
import { listImages, type Pace, PACES } from './_catalog-list.ts'
import { objectKey, writeFoundBy } from './_catalog-found-by.ts'
import { KnownImages } from './_catalog-known.ts'
import {
  type CatalogTables,
  fromRow,
  type ImageRow,
  type KeptImage,
  type MemberRow,
  toRow,
} from './_catalog-tables.ts'
import { packBytes, unpackBytes } from './_packed-bytes.ts'
import type { Catalog, ImageChange, ImageCount, ImageQuery, Usage } from './catalog.ts'
import type { Image, ImageStatus, Location, Member, MemberStatus } from './image.ts'

/** Statuses whose images count for nothing any more. */
const GONE: readonly ImageStatus[] = ['pending_delete', 'deleted']
const FIRST_REVISIONS = 2 ** 48

/**
 * The catalog in a database that has had `catalogMigrations`. `pace` is how listings look for their records; the
 * answer is the same.
 */
export function openCatalog(
  database: Database,
  context: Pick<Context, 'now'> = makeContext(),
  pace: Pace = PACES[database.kind],
): Catalog {
  return new DatabaseCatalog(database, context.now, pace)
}

class DatabaseCatalog implements Catalog {
  readonly #database: Database
  readonly #now: () => Date
  readonly #pace: Pace
  readonly #db: Kysely<CatalogTables>
  readonly #known = new KnownImages()
  readonly #byId: CompiledQuery<ImageRow>

  constructor(database: Database, now: () => Date, pace: Pace) {
    this.#pace = pace
    this.#database = database
    this.#now = now
    this.#db = database.read<CatalogTables>()
    this.#byId = this.#db.selectFrom('images').selectAll().where('id', '=', '').compile()
  }

  async get(id: string, tx?: Tx): Promise<Image | undefined> {
    const row = await this.#row(id, tx)
    if (row === undefined) return undefined
    // what is not committed yet may never have been, so it is not remembered
    return tx === undefined ? this.#known.imageOf(row) : fromRow(row)
  }

  async list(query: ImageQuery): Promise<Image[]> {
    return await listImages(this.#db, this.#database.kind, this.#known, query, this.#pace)
  }

  async insert(tx: Tx, image: Omit<Image, 'revision' | 'locations'>): Promise<Image> {
    const db = tx.as<CatalogTables>()
    // by chance, so that an image that is made again under an id does not repeat what its forerunner said
    const revision = Math.floor(Math.random() * FIRST_REVISIONS)
    const kept: KeptImage = { ...image, locations: [], revision, stagedSize: 0 }
    const row = toRow(kept)
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('images')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows === 0n)
      throw new Failure('IMAGE_EXISTS', `there is an image ${image.id}`, {
        details: { id: image.id },
      })
    const made = fromRow(row)
    await writeFoundBy(db, undefined, made)
    return made
  }

  async update(
    tx: Tx,
    id: string,
    change: ImageChange,
    options: { readonly from?: readonly ImageStatus[]; readonly revision?: number } = {},
  ): Promise<Image> {
    const { from, revision } = options
    return await this.#change(tx, id, (image) => {
      if (from !== undefined && !from.includes(image.status))
        throw new Failure(
          'IMAGE_STATE',
          `image ${id} is ${image.status}; that needs one that is ${from.join(' or ')}`,
          { details: { id, status: image.status, from } },
        )
      if (revision !== undefined && image.revision !== revision)
        throw new Failure('IMAGE_CHANGED', `image ${id} was changed meanwhile`, { details: { id } })
      const known = Object.entries(change).filter(([, value]) => value !== undefined)
      return Object.fromEntries(known)
    })
  }

  async remove(tx: Tx, id: string): Promise<void> {
    const row = await this.#row(id, tx)
    if (row === undefined) return
    const db = tx.as<CatalogTables>()
    await db.deleteFrom('images').where('id', '=', id).execute()
    await db.deleteFrom('image_members').where('image_id', '=', id).execute()
    await db.deleteFrom('image_attachments').where('image_id', '=', id).execute()
    await writeFoundBy(db, fromRow(row), undefined)
  }

  async addLocation(tx: Tx, id: string, location: Location): Promise<Image> {
    return await this.#change(tx, id, ({ locations }) => ({ locations: [...locations, location] }))
  }

  async removeLocation(tx: Tx, id: string, locationId: string): Promise<Image> {
    return await this.#change(tx, id, ({ locations }) => {
      const left = locations.filter((location) => location.id !== locationId)
      if (left.length === locations.length)
        throw new Failure('LOCATION_NOT_FOUND', `image ${id} has no location ${locationId}`, {
          details: { id, locationId },
        })
      return { locations: left }
    })
  }

  async isLocated(store: string, key: string, tx?: Tx): Promise<boolean> {
    const found = await this.#in(tx)
      .selectFrom('image_locations')
      .select('location_id')
      .where('object', '=', objectKey(store, key))
      .limit(1)
      .executeTakeFirst()
    return found !== undefined
  }

  async members(id: string, tx?: Tx): Promise<Member[]> {
    const rows = await this.#in(tx)
      .selectFrom('image_members')
      .selectAll()
      .where('image_id', '=', id)
      .orderBy('created_at')
      .orderBy('member')
      .execute()
    return rows.map(asMember)
  }

  async member(id: string, member: string, tx?: Tx): Promise<Member | undefined> {
    const row = await this.#in(tx)
      .selectFrom('image_members')
      .selectAll()
      .where('image_id', '=', id)
      .where('member', '=', member)
      .executeTakeFirst()
    return row && asMember(row)
  }

  async addMember(tx: Tx, member: Member): Promise<void> {
    const { imageId } = member
    const image = await this.#needRow(imageId, tx)
    const { numInsertedOrUpdatedRows } = await tx
      .as<CatalogTables>()
      .insertInto('image_members')
      .values({
        image_id: imageId,
        member: member.member,
        status: member.status,
        created_at: member.createdAt.getTime(),
        updated_at: member.updatedAt.getTime(),
        image_created_at: image.created_at,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows === 0n)
      throw new Failure(
        'MEMBER_EXISTS',
        `image ${imageId} is shared with ${member.member} already`,
        { details: { id: imageId, member: member.member } },
      )
  }

  async setMember(tx: Tx, id: string, member: string, status: MemberStatus): Promise<Member> {
    const row = await tx
      .as<CatalogTables>()
      .updateTable('image_members')
      .set({ status, updated_at: this.#now().getTime() })
      .where('image_id', '=', id)
      .where('member', '=', member)
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) throw memberNotFound(id, member)
    return asMember(row)
  }

  async removeMember(tx: Tx, id: string, member: string): Promise<void> {
    const { numDeletedRows } = await tx
      .as<CatalogTables>()
      .deleteFrom('image_members')
      .where('image_id', '=', id)
      .where('member', '=', member)
      .executeTakeFirstOrThrow()
    if (numDeletedRows === 0n) throw memberNotFound(id, member)
  }

  async usage(project: string | null, tx?: Tx): Promise<Usage> {
    const row = await this.#in(tx)
      .selectFrom('images')
      .select((eb) => [
        eb.fn.countAll<number>().as('count'),
        eb.fn.sum<number | null>('stored_size').as('size'),
        eb.fn.sum<number | null>('busy').as('uploading'),
        eb.fn.sum<number | null>('staged_size').as('staged'),
      ])
      .where('owner', 'is not distinct from', project)
      .where('status', 'not in', GONE)
      .executeTakeFirstOrThrow()
    return {
      count: row.count,
      size: row.size ?? 0,
      uploading: row.uploading ?? 0,
      staged: row.staged ?? 0,
    }
  }

  async counts(): Promise<readonly ImageCount[]> {
    return await countImages(this.#db)
  }

  async readAttachment(id: string, kind: string, tx?: Tx): Promise<Uint8Array | undefined> {
    const row = await this.#in(tx)
      .selectFrom('image_attachments')
      .select('bytes')
      .where('image_id', '=', id)
      .where('kind', '=', kind)
      .executeTakeFirst()
    return row && unpackBytes(row.bytes)
  }

  async writeAttachment(tx: Tx, id: string, kind: string, content: Uint8Array): Promise<void> {
    const bytes = packBytes(content)
    await tx
      .as<CatalogTables>()
      .insertInto('image_attachments')
      .values({ image_id: id, kind, bytes })
      .onConflict((conflict) => conflict.columns(['image_id', 'kind']).doUpdateSet({ bytes }))
      .execute()
  }

  async removeAttachment(tx: Tx, id: string, kind: string): Promise<void> {
    await tx
      .as<CatalogTables>()
      .deleteFrom('image_attachments')
      .where('image_id', '=', id)
      .where('kind', '=', kind)
      .execute()
  }

  /** Reads a record, and writes what `change` says of it. */
  async #change(tx: Tx, id: string, change: (image: Image) => Partial<KeptImage>): Promise<Image> {
    const row = await this.#needRow(id, tx)
    const before = fromRow(row)
    const after = toRow({
      ...before,
      stagedSize: row.staged_size,
      ...change(before),
      updatedAt: this.#now(),
      revision: before.revision + 1,
    })
    const db = tx.as<CatalogTables>()
    await db.updateTable('images').set(differences(row, after)).where('id', '=', id).execute()
    const image = fromRow(after)
    await writeFoundBy(db, before, image)
    return image
  }

  async #needRow(id: string, tx: Tx): Promise<ImageRow> {
    const row = await this.#row(id, tx)
    if (row === undefined)
      throw new Failure('IMAGE_NOT_FOUND', `no image ${id}`, { details: { id } })
    return row
  }

  async #row(id: string, tx?: Tx): Promise<ImageRow | undefined> {
    const { rows } = await this.#in(tx).executeQuery<ImageRow>({ ...this.#byId, parameters: [id] })
    return rows[0]
  }

  #in(tx: Tx | undefined): Kysely<CatalogTables> | Transaction<CatalogTables> {
    return tx === undefined ? this.#db : tx.as<CatalogTables>()
  }
}

/** The columns that are not as they were: what did not change costs no index a write. */
function differences(before: ImageRow, after: ImageRow): Partial<ImageRow> {
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => before[name as keyof ImageRow] !== value),
  )
}

function asMember(row: MemberRow): Member {
  return {
    imageId: row.image_id,
    member: row.member,
    status: row.status,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  }
}

function memberNotFound(id: string, member: string): Failure {
  return new Failure('MEMBER_NOT_FOUND', `image ${id} is not shared with ${member}`, {
    details: { id, member },
  })
}
