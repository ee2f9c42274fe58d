import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod, StandingData } from '../method.ts'

/** Finds what was staged for an image: `images/staged.ts`. */
export type FindStaged = (
  imageId: string,
) => Promise<Omit<StandingData, 'kind' | 'staged' | typeof Symbol.asyncDispose> | undefined>

/** Data that was staged before with `PUT …/stage`. It stands in a store already, hashed, inspected, converted. */
export function glanceDirect(findStaged: FindStaged): ImportMethod {
  return {
    name: 'glance-direct',
    summary: 'data that was uploaded to the stage of the image',
    options: Type.Object({}),
    from: 'uploading',
    open: async ({ image }) => {
      const staged = await findStaged(image.id)
      if (staged === undefined)
        throw new Failure('IMAGE_STATE', `nothing is staged for image ${image.id}`, {
          details: { id: image.id },
        })
      return { kind: 'standing', ...staged, staged: true, [Symbol.asyncDispose]: async () => {} }
    },
  }
}
