/** Glance's wire. Source: the Image API v2 reference. */
import { randomUUID } from 'node:crypto'
import { Failure, isFailure, messageOf } from '../../base/failure.ts'
import { ask, askFor, askOnceOnly, askToDelete, type Asking } from './_ask.ts'
import { asWire, chooseNamed, listOf, numberOr, textOf, textOr, type Wire } from './_fields.ts'
import type {
  CloudImage,
  ImageChange,
  ImageImport,
  ImageQuery,
  ImageService,
  NewCloudImage,
} from './image.ts'

const PATCH = { 'content-type': 'application/openstack-images-v2.1-json-patch' }
/** An upload is answered when all is in its place, a download begins when the store has found it. */
const DATA_SILENCE_MS = 10 * 60_000
const PAGE = 200
const MAX_LISTED = 1000

export function openImageService(given: Asking): ImageService {
  // A catalogue may name the root, or the version.
  const endpoint = async () => (await given.endpoint()).replace(/\/v2(\.\d+)?$/, '')
  const asking: Asking = { ...given, endpoint }

  const list = async (query: ImageQuery = {}): Promise<CloudImage[]> => {
    const { name, tag, status, visibility, owner, properties } = query
    const filter = {
      ...properties,
      tag,
      status,
      visibility,
      owner,
      ...(name && { name: quoted(name) }),
    }
    const found: CloudImage[] = []
    for (let marker: string | undefined; found.length < MAX_LISTED;) {
      const sort = { sort: 'created_at:desc', limit: String(PAGE), marker }
      const { json } = await ask(asking, { path: '/v2/images', query: { ...filter, ...sort } })
      const page = listOf(asWire(json, 'images')['images'], 'images').map(toImage)
      found.push(...page)
      marker = page.at(-1)?.id
      if (page.length < PAGE) break
    }
    return found
  }
  const get = async (id: string) =>
    toImage(asWire((await ask(asking, { path: at(id) })).json, 'image'))

  const put = async (
    path: string,
    data: { stream: AsyncIterable<Uint8Array>; size: number | undefined },
    headers = {},
  ) => {
    await ask(asking, {
      method: 'PUT',
      path,
      headers: { 'content-type': 'application/octet-stream', ...headers },
      stream: { content: data.stream, size: data.size },
      timeoutMs: DATA_SILENCE_MS,
    })
  }

  const changeOnce = async (id: string, values: ImageChange): Promise<CloudImage> => {
    const there = asWire((await ask(asking, { path: at(id) })).json, 'image')
    const operations = Object.entries(values).flatMap(([name, value]) => {
      const path = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
      if (value === null) return name in there ? [{ op: 'remove', path }] : []
      return [{ op: name in there ? 'replace' : 'add', path, value }]
    })
    if (operations.length === 0) return toImage(there)
    const question = { method: 'PATCH', path: at(id), json: operations, repeatable: false }
    return toImage(asWire((await ask(asking, { ...question, headers: PATCH })).json, 'image'))
  }

  return {
    list,
    get,
    find: async (idOrName) => {
      if (UUID.test(idOrName)) return await get(idOrName)
      const [newest] = await list({ name: idOrName, status: 'active' })
      return newest ?? chooseNamed(await list({ status: 'active' }), idOrName, 'image')
    },
    create: async (image) => {
      const id = image.id ?? randomUUID()
      try {
        const json = toWire({ ...image, id })
        const answer = await ask(asking, {
          method: 'POST',
          path: '/v2/images',
          json,
          repeatable: true,
        })
        return toImage(asWire(answer.json, 'image'))
      } catch (error) {
        // With an id of ours: it was made by a question whose answer was lost.
        if (isFailure(error) && error.details['status'] === 409) return await get(id)
        throw error
      }
    },
    // Data cannot be sent again after a token was refused; a question before makes sure of it.
    upload: async (id, data, store) => {
      await get(id)
      await put(`${at(id)}/file`, data, store === undefined ? {} : { 'x-image-meta-store': store })
    },
    stage: async (id, data) => {
      await get(id)
      await put(`${at(id)}/stage`, data)
    },
    import: async (id, request) => {
      await ask(asking, { method: 'POST', path: `${at(id)}/import`, json: toImport(request) })
    },
    importMethods: async () => {
      const found = await toldOf(asking, '/v2/info/import')
      const methods = found?.['import-methods']
      const value = methods === undefined ? [] : asWire(methods, 'methods')['value']
      return Array.isArray(value) ? value.map(String) : []
    },
    stores: async () => {
      const found = await toldOf(asking, '/v2/info/stores')
      return found === undefined
        ? []
        : listOf(found['stores'], 'stores').map((one) => ({
            id: textOf(one, 'id'),
            isDefault: one['default'] === 'true' || one['default'] === true,
          }))
    },
    download: async (id, from = 0) => {
      const response = await askFor(asking, {
        path: `${at(id)}/file`,
        headers: { accept: '*/*', ...(from > 0 && { range: `bytes=${from}-` }) },
        timeoutMs: DATA_SILENCE_MS,
      })
      const { statusCode: status, headers } = response
      if (status !== (from > 0 ? 206 : 200)) {
        response.destroy()
        const why = status === 204 ? 'it has no data' : `it cannot be read from byte ${from}`
        throw new Failure('CLOUD_FAILED', `${asking.name}: image ${id}: ${why}`)
      }
      const length = headers['content-length']
      return {
        length: length === undefined ? undefined : Number(length),
        stream: wholeBody(response, asking),
      }
    },
    // What is to be done follows from what there is, so that it can be done again.
    change: async (id, values) =>
      await askOnceOnly(
        asking,
        async () => await changeOnce(id, values),
        async () => undefined,
      ),
    delete: async (id) => await askToDelete(asking, at(id)),
  }
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

function at(id: string): string {
  return `/v2/images/${encodeURIComponent(id)}`
}

/** As a list of one, so that commas in it mean nothing. */
function quoted(name: string): string {
  return `in:"${name.replaceAll('"', '\\"')}"`
}

/** What the service tells of itself; undefined: it is too old to tell. */
async function toldOf(asking: Asking, path: string): Promise<Wire | undefined> {
  try {
    return asWire((await ask(asking, { path })).json, 'facts')
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND') || isFailure(error, 'CLOUD_DENIED')) return undefined
    throw error
  }
}

function toWire(image: NewCloudImage): object {
  return {
    ...image.properties,
    id: image.id,
    name: image.name,
    disk_format: image.diskFormat,
    container_format: image.containerFormat ?? 'bare',
    ...(image.visibility !== undefined && { visibility: image.visibility }),
    ...(image.minDiskGiB !== undefined && { min_disk: image.minDiskGiB }),
    ...(image.minRamMiB !== undefined && { min_ram: image.minRamMiB }),
    ...(image.protected !== undefined && { protected: image.protected }),
    ...(image.tags && { tags: image.tags }),
  }
}

function toImport(request: ImageImport): object {
  const { method: name, uri, stores, allStores, allStoresMustSucceed } = request
  return {
    method: { name, ...(uri !== undefined && { uri }) },
    ...(stores && { stores }),
    ...(allStores !== undefined && { all_stores: allStores }),
    ...(allStoresMustSucceed !== undefined && { all_stores_must_succeed: allStoresMustSucceed }),
  }
}

/** What is an image's own, and no property. Source: the schema of an image. */
const OWN = new Set(
  `id name status visibility disk_format container_format size virtual_size min_disk min_ram owner tags checksum
  os_hash_algo os_hash_value os_hidden protected created_at updated_at self file schema direct_url locations
  block_device_mapping`.split(/\s+/),
)

function toImage(wire: Wire): CloudImage {
  const algorithm = textOr(wire, 'os_hash_algo', '')
  const value = textOr(wire, 'os_hash_value', '')
  const { tags } = wire
  const others = Object.entries(wire).filter(
    (entry): entry is [string, string] => !OWN.has(entry[0]) && typeof entry[1] === 'string',
  )
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', null),
    status: textOr(wire, 'status', 'unknown'),
    visibility: textOr(wire, 'visibility', ''),
    diskFormat: textOr(wire, 'disk_format', null),
    containerFormat: textOr(wire, 'container_format', null),
    size: numberOr(wire, 'size', null),
    minDiskGiB: numberOr(wire, 'min_disk', 0),
    minRamMiB: numberOr(wire, 'min_ram', 0),
    owner: textOr(wire, 'owner', null),
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    digest: algorithm === '' || value === '' ? null : { algorithm, value },
    properties: Object.fromEntries(others),
  }
}

async function* wholeBody(
  response: AsyncIterable<Uint8Array> & { readonly complete: boolean },
  { name, signal }: Asking,
): AsyncGenerator<Uint8Array> {
  try {
    yield* response
  } catch (cause) {
    if (signal.aborted) throw new Failure('INTERRUPTED', `reading from ${name} was interrupted`)
    throw new Failure('CLOUD_AWAY', `${name} broke off: ${messageOf(cause)}`, { cause })
  }
  if (!response.complete) throw new Failure('CLOUD_AWAY', `${name} broke off before the end`)
}
