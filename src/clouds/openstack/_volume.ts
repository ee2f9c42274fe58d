/** Cinder's wire. Source: the Block Storage API v3 reference. */
import { ask, askOnceOnly, askToDelete, type Asking } from './_ask.ts'
import { asWire, numberOr, textOf, textOr, textsOf, type Wire } from './_fields.ts'
import { askPages } from './_pages.ts'
import type { NewVolume, Volume, VolumeService } from './volume.ts'

export function openVolume(asking: Asking): VolumeService {
  const list = async (name?: string): Promise<Volume[]> => {
    const question = { path: '/volumes/detail', query: { name } }
    return (await askPages(asking, question, 'volumes')).map(toVolume)
  }
  const create = async (given: NewVolume): Promise<Volume> => {
    const volume = {
      name: given.name,
      size: given.sizeGiB,
      metadata: given.metadata,
      ...(given.imageId !== undefined && { imageRef: given.imageId }),
      ...(given.availabilityZone !== undefined && { availability_zone: given.availabilityZone }),
    }
    const { json } = await ask(asking, { method: 'POST', path: '/volumes', json: { volume } })
    return toVolume(asWire(asWire(json, 'volume')['volume'], 'volume'))
  }
  return {
    list,
    create: async (given) =>
      await askOnceOnly(
        asking,
        async () => await create(given),
        async () =>
          (await list(given.name)).find(({ metadata }) =>
            Object.entries(given.metadata).every(([key, value]) => metadata[key] === value),
          ),
      ),
    get: async (id) => {
      const { json } = await ask(asking, { path: at(id) })
      return toVolume(asWire(asWire(json, 'volume')['volume'], 'volume'))
    },
    uploadToImage: async (id, imageName, diskFormat) => {
      const upload = {
        image_name: imageName,
        disk_format: diskFormat,
        container_format: 'bare',
      }
      const action = { 'os-volume_upload_image': upload }
      const { json } = await ask(asking, { method: 'POST', path: `${at(id)}/action`, json: action })
      const made = asWire(asWire(json, 'image')['os-volume_upload_image'], 'image')
      return textOf(made, 'image_id')
    },
    delete: async (id) => await askToDelete(asking, at(id)),
  }
}

function at(id: string): string {
  return `/volumes/${encodeURIComponent(id)}`
}

function toVolume(wire: Wire): Volume {
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', ''),
    status: textOr(wire, 'status', 'unknown'),
    sizeGiB: numberOr(wire, 'size', 0),
    metadata: textsOf(wire['metadata']),
  }
}
