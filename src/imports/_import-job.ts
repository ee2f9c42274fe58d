/** An import as it stands in the ledger: the input that Glance's tasks show, and what of it we need. */
import { Failure } from '../base/failure.ts'
import type { Json, Task } from '../tasks/task.ts'
import type { StoredObject } from './method.ts'

export const IMAGE_IMPORT = 'api_image_import'
/** The same, asked for by the old API of tasks. */
export const OLD_IMPORT = 'import'

export interface ImportJob {
  readonly imageId: string
  readonly method: string
  readonly parameters: Readonly<Record<string, Json>>
  /** Where it shall stand, the first one first. */
  readonly stores: readonly string[]
  readonly allStores: boolean
  readonly allMustSucceed: boolean
  /** Of whoever asked. */
  readonly roles: readonly string[]
}

export function toInput(job: ImportJob): { readonly [key: string]: Json } {
  return {
    image_id: job.imageId,
    import_req: {
      method: { name: job.method, ...job.parameters },
      stores: [...job.stores],
      all_stores: job.allStores,
      all_stores_must_succeed: job.allMustSucceed,
    },
    backend: [...job.stores],
    roles: [...job.roles],
  }
}

/** As `toInput` wrote it. */
export function jobOf({ input }: Pick<Task, 'input'>): ImportJob {
  const { image_id, import_req, backend, roles } = input as {
    image_id: string
    import_req: {
      method: { name: string } & Record<string, Json>
      all_stores: boolean
      all_stores_must_succeed: boolean
    }
    backend: string[]
    roles: string[]
  }
  const { name: method, ...parameters } = import_req.method
  return {
    imageId: image_id,
    method,
    parameters,
    stores: backend,
    allStores: import_req.all_stores,
    allMustSucceed: import_req.all_stores_must_succeed,
    roles,
  }
}

/** Objects that a task noted before it made them. */
export function objectsOf(leftovers: readonly Json[]): StoredObject[] {
  return leftovers.map((one) => {
    const { store, key } = one as { store?: Json; key?: Json }
    if (typeof store === 'string' && typeof key === 'string') return { store, key }
    throw new Failure('REQUEST_INVALID', 'a leftover names no object')
  })
}
