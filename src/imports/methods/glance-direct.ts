import { Failure } from '../../base/failure.ts'
import { isSameSignature, signatureOf } from '../../images/signature.ts'
import { refusalOf } from '../../images/staged.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod } from '../method.ts'

/**
 * Data that was staged before with `PUT …/stage`. It stands in a store already, hashed, inspected, converted;
 * unless it was refused then, which is told now.
 */
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
    if (found.refused) throw refusalOf(found)
    const { object, ingested } = found
    if (!isSameSignature(ingested.signature, signatureOf(image.properties)))
      throw new Failure(
        'SIGNATURE_INVALID',
        'the img_signature properties were changed after the data was staged; it is verified as it arrives, so stage it again',
        { details: { id: image.id } },
      )
    return {
      kind: 'standing',
      object,
      ingested,
      staged: true,
      [Symbol.asyncDispose]: async () => {},
    }
  },
}
