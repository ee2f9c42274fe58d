/** What an import is refused for before it begins. Source: the answers of Glance's import API. */
import { Failure } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import { findFaults } from '../schema/find-faults.ts'
import type { Stores } from '../stores/store.ts'
import type { ImportRequest } from './imports.ts'
import type { ImportMethod } from './method.ts'

const WANTED = {
  queued: 'has to be queued',
  uploading: 'needs data to be staged first',
  active: 'has to be active',
} as const

/** Fails with IMAGE_STATE unless data can come to the image this way now. */
export function checkState(image: Image, { name, from }: ImportMethod): void {
  const { id, status, containerFormat, diskFormat } = image
  if (status !== from)
    throw new Failure('IMAGE_STATE', `image ${id} ${WANTED[from]} for ${name}; it is ${status}`, {
      details: { id, status, method: name },
    })
  const missing =
    containerFormat === null ? 'container_format' : diskFormat === null ? 'disk_format' : undefined
  if (missing !== undefined)
    throw new Failure('IMAGE_STATE', `'${missing}' needs to be set before import`, {
      details: { id },
    })
}

/** Fails with REQUEST_INVALID unless the method can be told what it was told. */
export function checkParameters(
  { name, options }: ImportMethod,
  parameters: ImportRequest['parameters'],
): void {
  const [fault] = findFaults(options, parameters)
  if (fault === undefined) return
  const at = fault.path.length === 0 ? name : `${name}: ${fault.path.join('.')}`
  throw new Failure('REQUEST_INVALID', `${at}: ${fault.message}`, { details: { method: name } })
}

/**
 * The stores that are to get the data: of a copy, those that do not have it. Fails with IMPORT_STORE_UNKNOWN,
 * REQUEST_INVALID (named by name, and it has the data; or none is named).
 */
export function chooseStores(
  image: Image,
  { from }: ImportMethod,
  request: Pick<ImportRequest, 'stores' | 'allStores'>,
  stores: Stores,
): string[] {
  const writable = stores.all.filter(({ readOnly }) => !readOnly).map(({ id }) => id)
  const named = [...new Set(request.stores)]
  const unknown = named.find((id) => !writable.includes(id))
  if (unknown !== undefined)
    throw new Failure('IMPORT_STORE_UNKNOWN', `no store '${unknown}' that takes data`, {
      details: { store: unknown, stores: writable },
    })
  if (named.length === 0 && !request.allStores)
    throw new Failure('REQUEST_INVALID', 'no store is named')
  const chosen = request.allStores ? writable : named
  if (from !== 'active') return chosen
  const standing = new Set(image.locations.map(({ store }) => store))
  const present = named.find((id) => standing.has(id))
  if (present !== undefined)
    throw new Failure('REQUEST_INVALID', `Image is already present at store '${present}'`, {
      details: { store: present },
    })
  return chosen.filter((id) => !standing.has(id))
}
