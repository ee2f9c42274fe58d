/**
 * The index of a place: what Incus, LXD and other clients of simplestreams read. Each version has a record of its own
 * beside its files, and the index is always made of all of them; so nothing is lost when two write it at once.
 * Source: simplestreams, "products:1.0" and "index:1.0", and how Incus reads them.
 */
import type { Static } from 'typebox'
import { Failure } from '../../base/failure.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { Type } from '../../schema/type.ts'
import type { Place } from './_file-place.ts'
import { NAME } from './_file-schemas.ts'

const name = Type.String({ maxLength: 64, pattern: NAME })
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

const recordSchema = Type.Object({
  imageId: Type.String({ maxLength: 64 }),
  os: name,
  release: name,
  arch: name,
  variant: name,
  version: name,
  title: Type.String({ maxLength: 255 }),
  aliases: Type.Array(Type.String({ maxLength: 255 })),
  createdAt: Type.String({ maxLength: 40 }),
  items: Type.Array(
    Type.Object({
      name: Type.String({ maxLength: 255, pattern: '^[A-Za-z0-9][A-Za-z0-9._+-]*$' }),
      type: Type.String({ maxLength: 64 }),
      size: Type.Integer({ minimum: 0 }),
      sha256: digest,
      /** Of this file with the one of that type behind it. */
      combined: Type.Optional(Type.Object({ type: Type.String(), sha256: digest })),
    }),
  ),
})
/** One version of an image, as it stands in a place. */
export type VersionRecord = Static<typeof recordSchema>

const RECORD = 'version.json'
const ROOT = 'images'
const INDEX = 'streams/v1/index.json'
const PRODUCTS = 'streams/v1/images.json'
/** Others may write at the same time, but not for ever. */
const MOST_ROUNDS = 20

type Named = Pick<VersionRecord, 'os' | 'release' | 'arch' | 'variant' | 'version'>

/** `images/debian/12/amd64/default/20260131_120000` */
export function pathOf({ os, release, arch, variant, version }: Named): string {
  return [ROOT, os, release, arch, variant, version].join('/')
}

const PART = NAME.slice(1, -1)
const PATH = new RegExp(`^${ROOT}(/${PART}){5}$`)

/** Whether it is such a path, and nothing that leads elsewhere. */
export function isVersionPath(path: string): boolean {
  return path.length < 500 && PATH.test(path)
}

export async function readRecord(place: Place, path: string): Promise<VersionRecord | undefined> {
  const bytes = await place.read(`${path}/${RECORD}`)
  if (bytes === undefined) return undefined
  try {
    const record: unknown = JSON.parse(bytes.toString())
    return isRecord(record) && pathOf(record) === path ? record : undefined
  } catch {
    return undefined // not one of ours
  }
}

function isRecord(value: unknown): value is VersionRecord {
  return findFaults(recordSchema, value).length === 0
}

/** From now on the version is in the index. */
export async function addVersion(place: Place, record: VersionRecord): Promise<void> {
  await writeJson(place, `${pathOf(record)}/${RECORD}`, record)
  await writeIndex(place)
}

/** Takes a version out of the index, then removes its files. That it is gone is success. */
export async function removeVersion(place: Place, path: string): Promise<void> {
  if (!isVersionPath(path))
    throw new Failure('REQUEST_INVALID', `${JSON.stringify(path)} is no version of an image`)
  const files = await place.list(path)
  if (files.includes(`${path}/${RECORD}`)) await place.remove(`${path}/${RECORD}`)
  await writeIndex(place)
  for (const file of files) await place.remove(file)
}

/**
 * Who writes last might have looked first: whoever has written looks again, and writes again if there is something new.
 * Fails with CLOUD_FAILED if that never ends.
 */
async function writeIndex(place: Place): Promise<void> {
  let seen = await versionsIn(place)
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const records: VersionRecord[] = []
    for (const path of seen) {
      const record = await readRecord(place, path)
      if (record) records.push(record)
    }
    await writeJson(place, PRODUCTS, productsOf(records))
    await writeJson(place, INDEX, indexOf(records))
    const now = await versionsIn(place)
    if (now.join('\n') === seen.join('\n')) return
    seen = now
  }
  throw new Failure('CLOUD_FAILED', `${place.name}: the index is written by others all the time`)
}

async function versionsIn(place: Place): Promise<readonly string[]> {
  const files = await place.list(ROOT)
  return files
    .filter((file) => file.endsWith(`/${RECORD}`))
    .map((file) => file.slice(0, -RECORD.length - 1))
    .filter(isVersionPath)
}

function productOf({ os, release, arch, variant }: VersionRecord): string {
  return [os, release, arch, variant].join(':')
}

function indexOf(records: readonly VersionRecord[]): object {
  const products = [...new Set(records.map(productOf))].toSorted()
  const updated = updatedAt(records)
  const images = {
    datatype: 'image-downloads',
    path: PRODUCTS,
    format: 'products:1.0',
    updated,
    products,
  }
  return { format: 'index:1.0', updated, index: { images } }
}

/** Of several versions, the newest says what the product is called. */
function productsOf(records: readonly VersionRecord[]): object {
  const products: Record<string, { versions: Record<string, object> }> = {}
  for (const record of records.toSorted((a, b) => (a.version < b.version ? -1 : 1))) {
    const { os, release, arch, variant, version, title, aliases } = record
    const key = productOf(record)
    const versions = { ...products[key]?.versions, [version]: versionOf(record) }
    const named = { os, release, arch, variant, release_title: title, aliases: aliases.join(',') }
    products[key] = { ...named, versions }
  }
  return {
    format: 'products:1.0',
    content_id: 'images',
    datatype: 'image-downloads',
    updated: updatedAt(records),
    products: Object.fromEntries(Object.entries(products).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function versionOf(record: VersionRecord): object {
  const items = record.items.map((item) => [
    item.name,
    {
      ftype: item.type,
      path: `${pathOf(record)}/${item.name}`,
      size: item.size,
      sha256: item.sha256,
      ...(item.combined && {
        [`combined_${item.combined.type.replaceAll('.', '-')}_sha256`]: item.combined.sha256,
      }),
    },
  ])
  return { items: Object.fromEntries(items) as object, ingot_image: record.imageId }
}

/** The newest; of nothing there is none. */
function updatedAt(records: readonly VersionRecord[]): string | undefined {
  return records
    .map(({ createdAt }) => createdAt)
    .toSorted()
    .at(-1)
}

async function writeJson(place: Place, path: string, value: object): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`)
  const content = (async function* () {
    yield bytes
  })()
  await place.write(path, content, bytes.length)
}
