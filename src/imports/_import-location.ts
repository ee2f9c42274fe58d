/** The new locations API: an image is given a place where data stands already; nothing is copied. */
import { Failure } from '../base/failure.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { readInto } from '../bytes/source.ts'
import type { Caller } from '../access/caller.ts'
import type { Image } from '../images/image.ts'
import { outcomeOf } from '../tasks/outcome.ts'
import type { Lease, Task, TaskKind } from '../tasks/task.ts'
import { checkFormats, findLocation } from './_find-location.ts'
import type { ImportParts } from './_ground.ts'
import { held, released } from './_lock.ts'
import type { Checksum } from './parse-checksum.ts'

const LOCATION_IMPORT = 'location_import'

interface LocationJob {
  readonly imageId: string
  readonly url: string
  /** The digest that is kept, and what it has to be. */
  readonly algorithm: string
  readonly value: string | undefined
}

/** See `Imports.addLocation`. */
export async function beginLocation(
  parts: ImportParts,
  image: Image,
  url: string,
  validation: Checksum | undefined,
  { projectId: owner, userId, requestId, ...caller }: Caller,
): Promise<Task | undefined> {
  const { database, catalog, ledger, context, config, offer } = parts
  checkQueued(image)
  checkFormats(image)
  const isService = caller.isAdmin || [...caller.roles, ...caller.serviceRoles].includes('service')
  const { location, size } = await findLocation(parts, url, {
    of: isService ? 'anybody' : 'others',
  })
  const { secure_hash: isHashed, hash_algorithm: usual } = config.image
  const algorithm = validation?.algorithm ?? usual
  const id = context.newId()
  const task = await database.write(async (tx) => {
    const now = await catalog.get(image.id, tx)
    if (now === undefined)
      throw new Failure('IMAGE_NOT_FOUND', `no image ${image.id}`, { details: { id: image.id } })
    checkQueued(now)
    const added = isHashed
      ? await ledger.add(tx, {
          id,
          type: LOCATION_IMPORT,
          owner,
          userId,
          requestId,
          subject: image.id,
          input: {
            image_id: image.id,
            loc_url: url,
            validation_data: {
              os_hash_algo: algorithm,
              ...(validation && { os_hash_value: validation.value }),
            },
          },
          total: size,
        })
      : undefined
    const isTold = !isHashed && validation !== undefined
    await catalog.update(tx, image.id, {
      size,
      status: isHashed && validation ? 'importing' : 'active',
      locations: [],
      ...(added && { properties: held(now.properties, id) }),
      // What it will be hashed by is known; an image that is not active yet says nothing of its data.
      ...((isTold || (isHashed && !validation)) && { hashAlgorithm: algorithm }),
      ...(isTold && { hashValue: validation.value }),
    })
    await catalog.addLocation(tx, image.id, location)
    return added
  })
  if (task !== undefined) await offer(id)
  return task
}

function checkQueued({ id, status }: Image): void {
  if (status === 'queued') return
  throw new Failure('IMAGE_STATE', `image ${id} is ${status}; locations are given to queued ones`, {
    details: { id, status },
  })
}

/** Hashes what stands at a location, and holds it to what it should be. */
export function locationKind(parts: ImportParts): TaskKind {
  return {
    type: LOCATION_IMPORT,
    resumes: true,
    run: async (lease) => await hashLocation(parts, lease),
    undo: async (task, reason, lease) => await undoLocation(parts, task, reason, lease),
  }
}

async function hashLocation(parts: ImportParts, lease: Lease): Promise<void> {
  const { database, catalog, stores } = parts
  const job = jobOf(lease.task)
  const image = await catalog.get(job.imageId)
  const location = image?.locations.find(({ url }) => url === job.url)
  if (image === undefined || location === undefined)
    throw new Failure('IMAGE_GONE', `image ${job.imageId} has no location ${job.url} any more`)
  await using data = await stores.get(location.store).open(location.key)
  const [checksum = '', value = ''] = await digestsOf(data, ['md5', job.algorithm], parts, lease)
  if (job.value !== undefined && job.value !== value)
    throw new Failure(
      'DIGEST_MISMATCH',
      `what stands at ${job.url} has the ${job.algorithm} digest ${value}, not ${job.value}`,
      { details: { url: job.url, found: value, wanted: job.value } },
    )
  await database.write(async (tx) => {
    const now = await catalog.get(job.imageId, tx)
    if (now === undefined) throw new Failure('IMAGE_GONE', `image ${job.imageId} was deleted`)
    await catalog.update(tx, job.imageId, {
      checksum,
      hashAlgorithm: job.algorithm,
      hashValue: value,
      ...(now.status === 'importing' && { status: 'active' }),
      properties: released(now.properties),
    })
    const result = { image_id: job.imageId }
    await lease.finish({ status: 'success', message: '', result }, tx)
  })
}

async function digestsOf(
  data: { readonly size: number } & Parameters<typeof readInto>[0],
  algorithms: readonly string[],
  { digests: shared, context }: ImportParts,
  lease: Lease,
): Promise<string[]> {
  await using own = new DigestThreads() // none is started unless it is used
  await using ring = (shared ?? own).ring(algorithms)
  for (let at = 0; at < data.size;) {
    if (lease.signal.aborted) throw lease.signal.reason
    if (context.signal.aborted) throw new Failure('INTERRUPTED', 'hashing was interrupted')
    const block = (await ring.take()).subarray(0, data.size - at)
    await readInto(data, block, at)
    ring.put(block.length)
    at += block.length
    lease.tell({ done: at, total: data.size })
  }
  return await ring.end()
}

/**
 * An image that waited for its digest is queued again. It goes on telling of a place that is only read, where nothing
 * can be removed, until other data comes. Source: what Tempest expects (LocationImportTest).
 */
async function undoLocation(
  { database, catalog, stores }: ImportParts,
  task: Task,
  reason: Error,
  lease: Lease,
): Promise<void> {
  const { imageId, url } = jobOf(task)
  await database.write(async (tx) => {
    const image = await catalog.get(imageId, tx)
    if (image !== undefined) {
      const isWaiting = image.status === 'importing'
      const location = image.locations.find((one) => one.url === url)
      const isOurs = location !== undefined && !stores.get(location.store).readOnly
      if (isWaiting && isOurs) await catalog.removeLocation(tx, imageId, location.id)
      await catalog.update(tx, imageId, {
        ...(isWaiting && { status: 'queued', size: null }),
        properties: released(image.properties),
      })
    }
    await lease.finish(outcomeOf(reason), tx)
  })
}

function jobOf({ input }: Pick<Task, 'input'>): LocationJob {
  const { image_id, loc_url, validation_data } = input as {
    image_id: string
    loc_url: string
    validation_data: { os_hash_algo: string; os_hash_value?: string }
  }
  const { os_hash_algo: algorithm, os_hash_value: value } = validation_data
  return { imageId: image_id, url: loc_url, algorithm, value }
}
