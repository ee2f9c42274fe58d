/** A catalog of images for tests, on whichever database. */
import { makeContext } from '../base/context.ts'
import type { Database } from '../database/database.ts'
import { type DatabaseAddress, openDatabase } from '../database/open-database.ts'
import { catalogMigrations } from '../images/catalog-migrations.ts'
import type { Catalog, ImageQuery, Viewer } from '../images/catalog.ts'
import type { Image } from '../images/image.ts'
import { openCatalog } from '../images/open-catalog.ts'
import { sampleImage } from './sample-image.ts'

export const ADMIN: Viewer = { project: 'admins', all: true }
export const NOON = new Date('2026-07-01T12:00:00Z')

export interface TestCatalog extends AsyncDisposable {
  readonly database: Database
  readonly catalog: Catalog
}

export async function openTestCatalog(
  address: DatabaseAddress,
  now: () => Date = () => NOON,
): Promise<TestCatalog> {
  const database = await openDatabase(address, catalogMigrations, makeContext())
  const catalog = openCatalog(database, { now })
  return { database, catalog, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

/** A record that says as little as it may. */
export function bareImage(parts: Partial<Image> & { id: string }): Image {
  const nothing = { name: null, containerFormat: null, diskFormat: null }
  return sampleImage({ ...nothing, createdAt: NOON, updatedAt: NOON, ...parts })
}

/** As an administrator asks for it. */
export async function listImages(catalog: Catalog, query: Partial<ImageQuery>): Promise<Image[]> {
  return await catalog.list({ viewer: ADMIN, filter: {}, sort: [], limit: 100, ...query })
}
