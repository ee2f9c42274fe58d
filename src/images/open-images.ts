import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database, Tx } from '../database/database.ts'
import type { Ledger } from '../tasks/ledger.ts'
import type { Catalog, ImageChange } from './catalog.ts'
import type { Image, Location, Member } from './image.ts'
import type { Images, NewImage } from './images.ts'
import { openStaged } from './staged.ts'
import { checkMove } from './status.ts'

/** The hidden task that removes objects of deleted images. Its input: `{ objects: [{ store, key }] }`. */
export const REMOVE_OBJECTS = 'remove-objects'

/** What projects may have: `access/quotas.ts`, as far as it is asked here. */
export interface ImageQuotas {
  readonly active: boolean
  limits(project: string | null): Promise<{ readonly image_count_total?: number }>
  check(
    limits: { readonly image_count_total?: number },
    name: 'image_count_total',
    used: number,
    adds: number,
    tx?: Tx,
  ): void
}

export interface ImagesParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly quotas: ImageQuotas
  /** Projects that one image may be shared with; negative: any number. */
  readonly maxMembers: number
  /** Seconds that the data of deleted images is kept. */
  readonly delayedDeleteS: number
  /** Tells a worker of a task; it would be found without, later. */
  readonly offer: (taskId: string) => Promise<void>
  readonly context: Context
}

/** How many expired images one call of `purge` removes. */
const PURGE_PAGE = 100

export function openImages(parts: ImagesParts): Images {
  return new OpenImages(parts)
}

class OpenImages implements Images {
  readonly #parts: ImagesParts

  constructor(parts: ImagesParts) {
    this.#parts = parts
  }

  async create(image: NewImage): Promise<Image> {
    return await this.#parts.database.write(await this.creation(image))
  }

  async creation(image: NewImage): ReturnType<Images['creation']> {
    const { catalog, quotas, context } = this.#parts
    const limits = quotas.active ? await quotas.limits(image.owner) : {}
    return async (tx, status = 'queued') => {
      if (limits.image_count_total !== undefined) {
        const { count } = await catalog.usage(image.owner, tx)
        quotas.check(limits, 'image_count_total', count, 1, tx)
      }
      const now = context.now()
      return await catalog.insert(tx, {
        ...image,
        status,
        checksum: null,
        hashAlgorithm: null,
        hashValue: null,
        size: null,
        virtualSize: null,
        createdAt: now,
        updatedAt: now,
      })
    }
  }

  async change(
    id: string,
    change: (image: Image) => ImageChange,
    more?: (tx: Tx) => Promise<Image>,
  ): Promise<Image> {
    const { database, catalog } = this.#parts
    return await database.write(async (tx) => {
      const image = await this.#demand(id, tx)
      const wanted = change(image)
      const isSame = Object.keys(wanted).length === 0
      const changed = isSame ? image : await catalog.update(tx, id, wanted)
      return more === undefined ? changed : await more(tx)
    })
  }

  async delete(id: string, { atOnce = false }: { atOnce?: boolean } = {}): Promise<void> {
    const { database, catalog, ledger, delayedDeleteS } = this.#parts
    const { working, removing } = await database.write(async (tx) => {
      const image = atOnce ? await catalog.get(id, tx) : await this.#demand(id, tx)
      if (image === undefined) throw imageNotFound(id)
      if (image.protected)
        throw new Failure('IMAGE_PROTECTED', `image ${id} is protected and cannot be deleted`, {
          details: { id },
          fix: 'Set `protected` to false first.',
        })
      const working = await ledger.holderOf(id, tx)
      if (!atOnce && delayedDeleteS > 0 && image.locations.length > 0) {
        checkMove(image, 'pending_delete')
        await catalog.update(tx, id, { status: 'pending_delete' })
        return { working, removing: undefined }
      }
      return { working, removing: await this.#remove(tx, image) }
    })
    if (working !== undefined) await ledger.cancel(working.id)
    for (const task of [working?.id, removing]) if (task !== undefined) await this.#offer(task)
  }

  async purge(): Promise<number> {
    const { database, catalog, context, delayedDeleteS } = this.#parts
    const before = new Date(context.now().getTime() - delayedDeleteS * 1000)
    const expired = await catalog.list({
      viewer: { project: null, all: true },
      filter: {
        anyOf: { status: ['pending_delete'] },
        times: [{ key: 'updated_at', comparison: 'lte', time: before }],
        visibility: 'all',
      },
      sort: [{ key: 'updated_at', direction: 'asc' }],
      limit: PURGE_PAGE,
    })
    for (const { id } of expired) {
      const removing = await database.write(async (tx) => {
        const image = await catalog.get(id, tx)
        return image?.status === 'pending_delete' ? await this.#remove(tx, image) : undefined
      })
      if (removing !== undefined) await this.#offer(removing)
    }
    return expired.length
  }

  async deactivate(id: string): Promise<Image> {
    return await this.#setActive(id, 'deactivated')
  }

  async reactivate(id: string): Promise<Image> {
    return await this.#setActive(id, 'active')
  }

  async addMember(id: string, member: string): Promise<Member> {
    const { database, catalog, maxMembers, context } = this.#parts
    return await database.write(async (tx) => {
      checkShared(await this.#demand(id, tx))
      const { length } = await catalog.members(id, tx)
      if (maxMembers >= 0 && length >= maxMembers)
        throw new Failure(
          'LIMIT_EXCEEDED',
          `image ${id} is shared with ${length} projects, and with no more than ${maxMembers} it can be`,
          { details: { attempted: length + 1, maximum: maxMembers } },
        )
      const now = context.now()
      const added: Member = {
        imageId: id,
        member,
        status: 'pending',
        createdAt: now,
        updatedAt: now,
      }
      await catalog.addMember(tx, added)
      return added
    })
  }

  async setMember(id: string, member: string, status: Member['status']): Promise<Member> {
    const { database, catalog } = this.#parts
    return await database.write(async (tx) => {
      checkShared(await this.#demand(id, tx))
      return await catalog.setMember(tx, id, member, status)
    })
  }

  async removeMember(id: string, member: string): Promise<void> {
    const { database, catalog } = this.#parts
    await database.write(async (tx) => {
      checkShared(await this.#demand(id, tx))
      if ((await catalog.member(id, member, tx)) === undefined)
        throw new Failure('MEMBER_NOT_FOUND', `image ${id} is not shared with ${member}`, {
          details: { id, member },
        })
      await catalog.removeMember(tx, id, member)
    })
  }

  async removeFromStore(id: string, store: string): Promise<Image> {
    const { database, catalog, ledger } = this.#parts
    const { image, removing } = await database.write(async (tx) => {
      const image = await this.#demand(id, tx)
      const location = image.locations.find((one) => one.store === store)
      if (location === undefined)
        throw new Failure('LOCATION_NOT_FOUND', `image ${id} has no data in store ${store}`, {
          details: { id, store },
        })
      if (image.locations.length === 1)
        throw new Failure('FORBIDDEN', `store ${store} holds the only data of image ${id}`, {
          details: { id, store },
        })
      if ((await ledger.holderOf(id, tx)) !== undefined)
        throw new Failure('IMAGE_BUSY', `data of image ${id} is being copied`, { details: { id } })
      const changed = await catalog.removeLocation(tx, id, location.id)
      return { image: changed, removing: await this.#removeObjects(tx, image, [location]) }
    })
    if (removing !== undefined) await this.#offer(removing)
    return image
  }

  async #demand(id: string, tx: Tx): Promise<Image> {
    const image = await this.#parts.catalog.get(id, tx)
    if (image === undefined || image.status === 'pending_delete') throw imageNotFound(id)
    return image
  }

  async #setActive(id: string, status: 'active' | 'deactivated'): Promise<Image> {
    const { database, catalog } = this.#parts
    return await database.write(async (tx) => {
      const image = await this.#demand(id, tx)
      if (image.status === status) return image
      if (image.status !== 'active' && image.status !== 'deactivated')
        throw new Failure(
          'FORBIDDEN',
          `image ${id} is ${image.status}; only data can be ${status}`,
          {
            details: { id, status: image.status },
          },
        )
      return await catalog.update(tx, id, { status }, { from: [image.status] })
    })
  }

  /** Removes the record; what it named is removed by a task, whose id is given. */
  async #remove(tx: Tx, image: Image): Promise<string | undefined> {
    checkMove(image, 'deleted')
    const { catalog } = this.#parts
    const staged = await openStaged(catalog).find(image.id, tx)
    await catalog.remove(tx, image.id)
    return await this.#removeObjects(tx, image, [
      ...image.locations,
      ...(staged?.object ? [staged.object] : []),
    ])
  }

  async #removeObjects(
    tx: Tx,
    { owner }: Image,
    locations: readonly Pick<Location, 'store' | 'key'>[],
  ): Promise<string | undefined> {
    if (locations.length === 0) return undefined
    const { ledger, context } = this.#parts
    const objects = locations.map(({ store, key }) => ({ store, key }))
    const id = context.newId()
    await ledger.add(tx, { id, type: REMOVE_OBJECTS, owner, hidden: true, input: { objects } })
    return id
  }

  /** The sweeper finds what no worker was told of, so that this may fail. */
  async #offer(taskId: string): Promise<void> {
    const { offer, context } = this.#parts
    await offer(taskId).catch((error: unknown) =>
      context.log.warn('task.not-offered', { taskId, error }),
    )
  }
}

export function imageNotFound(id: string): Failure {
  return new Failure('IMAGE_NOT_FOUND', `no image ${id}`, { details: { id } })
}

function checkShared({ id, visibility }: Image): void {
  if (visibility !== 'shared')
    throw new Failure(
      'FORBIDDEN',
      `image ${id} is ${visibility}; only shared images have members`,
      {
        details: { id, visibility },
      },
    )
}
