/** The small volume service. Source: the Block Storage API v3 reference. */
import { randomUUID } from 'node:crypto'
import { addSnapshot } from './_fake-glance.ts'
import {
  demand,
  type FakeState,
  type FakeVolume,
  jsonIn,
  pageOf,
  Refusal,
  type Route,
} from './_fake-openstack-state.ts'

export function cinderRoutes(state: FakeState): Route[] {
  const { volumes } = state
  const at = (path: string) => new RegExp(`^/volume/v3/${state.project}/${path}$`)
  const volume = (id: unknown) => demand(volumes, id, 'Volume')
  return [
    {
      method: 'GET',
      path: at('volumes/detail'),
      answer: (asked) => {
        const all = [...volumes.values()].filter(({ name }) =>
          [null, name].includes(asked.query.get('name')),
        )
        return pageOf(state, asked, 'volumes', all)
      },
    },
    {
      method: 'POST',
      path: at('volumes'),
      answer: (asked) => {
        const given = jsonIn(asked, 'volume', [
          'name',
          'size',
          'imageRef',
          'metadata',
          'availability_zone',
        ])
        if (given['imageRef'] !== undefined) demand(state.images, given['imageRef'], 'Image', 400)
        const made: FakeVolume = {
          id: randomUUID(),
          name: String(given['name']),
          status: 'available',
          size: Number(given['size']),
          metadata: given['metadata'] as Record<string, string>,
        }
        volumes.set(made.id, made)
        return { status: 202, json: { volume: made } }
      },
    },
    {
      method: 'GET',
      path: at('volumes/([^/]+)'),
      answer: (_, [id]) => ({ status: 200, json: { volume: volume(id) } }),
    },
    {
      method: 'DELETE',
      path: at('volumes/([^/]+)'),
      answer: (_, [id]) => {
        if (volume(id).status === 'in-use')
          throw new Refusal(400, 'Invalid volume: Volume status must be available')
        volumes.delete(String(id))
        return { status: 202 }
      },
    },
    {
      method: 'POST',
      path: at('volumes/([^/]+)/action'),
      answer: (asked, [id]) => {
        // As `enable_force_upload` is by default: what a server has is not read.
        if (volume(id).status !== 'available')
          throw new Refusal(400, `Invalid volume: Volume ${String(id)} status must be available`)
        const keys = ['image_name', 'disk_format', 'container_format', 'force']
        const { image_name: name } = jsonIn(asked, 'os-volume_upload_image', keys)
        const imageId = addSnapshot(state, String(name), {})
        return { status: 202, json: { 'os-volume_upload_image': { image_id: imageId } } }
      },
    },
  ]
}
