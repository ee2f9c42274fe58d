/** The image that a build left in a cloud, as the record of the factory image says. */
import { isFailure } from '../../base/failure.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import type { FactoryImage } from '../factory-image.ts'
import { RESULT_MARK } from './snapshot.ts'

/** Undefined: it left none. The cloud is undefined if it is the one of the environment. */
export function resultOf({
  properties,
}: Pick<FactoryImage, 'properties'>): { id: string; cloud: string | undefined } | undefined {
  const { 'x-image-properties-glance_id': id, cloud } = properties
  if (typeof id !== 'string') return undefined
  return { id, cloud: typeof cloud === 'string' && cloud !== '' ? cloud : undefined }
}

/** Removes it, unless somebody took its mark away; that it is gone already is fine. Gives whether it is gone. */
export async function removeResult(
  { image: images }: OpenStackServices,
  id: string,
  factoryImageId: string,
): Promise<boolean> {
  try {
    const { properties } = await images.get(id)
    if (properties[RESULT_MARK] !== factoryImageId) return false
    await images.delete(id)
  } catch (error) {
    if (!isFailure(error, 'CLOUD_NOT_FOUND')) throw error
  }
  return true
}
