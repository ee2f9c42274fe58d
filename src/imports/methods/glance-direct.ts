import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod } from '../method.ts'

/** Data that was staged before with `PUT …/stage`. It stands in a store already, hashed, inspected, converted. */
export const glanceDirect: ImportMethod = {
  name: 'glance-direct',
  summary: 'data that was uploaded to the stage of the image',
  options: Type.Object({}),
  from: 'uploading',
  open: async ({ image }, { staged }) => {
    const found = await staged.find(image.id)
    if (found === undefined)
      throw new Failure('IMAGE_STATE', `nothing is staged for image ${image.id}`, {
        details: { id: image.id },
      })
    return { kind: 'standing', ...found, staged: true, [Symbol.asyncDispose]: async () => {} }
  },
}
