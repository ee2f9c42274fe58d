/** Large objects of Swift: one object made of segments. Source: Swift, "Large Object Support". */
import { Failure } from '../../base/failure.ts'
import type { SwiftContainers } from './_swift-containers.ts'

export interface Segment {
  readonly name: string
  readonly size: number
  /** MD5, hex. */
  readonly etag: string
}

/**
 * How segments become one object. `static`: a manifest names each, and Swift checks them; no more than `most`
 * in one. `dynamic`, for a Swift without the other: everything whose name begins so is the object.
 */
export type Joining =
  | { readonly kind: 'static'; readonly most: number }
  | { readonly kind: 'dynamic' }

interface Whole {
  readonly name: string
  readonly size: number
  /** In order. */
  readonly all: readonly Segment[]
  readonly signal: AbortSignal
}

/** Makes the object. What it becomes is looked at, since a Swift without large objects would keep the manifest. */
export async function joinSegments(
  containers: SwiftContainers,
  joining: Joining,
  { name, size, all, signal }: Whole,
): Promise<void> {
  const { objects, segments } = containers
  if (joining.kind === 'dynamic') {
    const headers = {
      'x-object-manifest': `${encodeURIComponent(segments)}/${encodePrefix(name)}/`,
    }
    await containers.send(objects, name, { method: 'PUT', headers, body: Buffer.alloc(0), signal })
  } else {
    const entries = await nest(containers, { name, size, all, signal }, joining.most)
    await putManifest(containers, objects, name, entries, signal)
  }
  const made = await containers.sizeOf(objects, name, signal)
  if (made !== size)
    throw new Failure('STORE_AWAY', `${name}: Swift made ${made} bytes of segments of ${size}`)
}

/** Entries of the one manifest: the segments, or manifests of them that stand beside them. */
async function nest(
  containers: SwiftContainers,
  { name, all, signal }: Whole,
  most: number,
): Promise<object[]> {
  const { segments } = containers
  const entryOf = (segment: Segment) => ({
    path: `/${segments}/${segment.name}`,
    etag: segment.etag,
    size_bytes: segment.size,
  })
  if (all.length <= most) return all.map(entryOf)
  const entries: object[] = []
  for (let from = 0; from < all.length; from += most) {
    const some = all.slice(from, from + most)
    const of = `${name}/manifest-${String(from).padStart(8, '0')}`
    const etag = await putManifest(containers, segments, of, some.map(entryOf), signal)
    const size = some.reduce((sum, segment) => sum + segment.size, 0)
    entries.push({ path: `/${segments}/${of}`, etag, size_bytes: size })
  }
  return entries
}

async function putManifest(
  containers: SwiftContainers,
  container: string,
  name: string,
  entries: readonly object[],
  signal: AbortSignal,
): Promise<string> {
  const body = Buffer.from(JSON.stringify(entries))
  const query = { 'multipart-manifest': 'put' }
  const request = { method: 'PUT', query, body, signal }
  const { etag = '' } = await containers.send(container, name, request)
  return etag.replaceAll('"', '')
}

function encodePrefix(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}
