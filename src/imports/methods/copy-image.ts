import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod } from '../method.ts'

/** What stands in a store already, to be copied to others, as it is: no step is run. */
export const copyImage: ImportMethod = {
  name: 'copy-image',
  summary: 'data of the image itself, copied to further stores',
  options: Type.Object({}),
  from: 'active',
  open: async ({ image }, { stores }) => {
    const [best] = stores.all.flatMap(({ id }) =>
      image.locations.filter(({ store }) => store === id),
    )
    if (best === undefined)
      throw new Failure('OBJECT_NOT_FOUND', `no configured store has data of image ${image.id}`, {
        details: { id: image.id },
      })
    const object = { store: best.store, key: best.key }
    return { kind: 'standing', object, staged: false, [Symbol.asyncDispose]: async () => {} }
  },
}
