import assert from 'node:assert/strict'
import { it } from 'node:test'
import { addImage } from '../../testing/_fake-glance.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openNovaScene } from '../../testing/nova-scene.ts'

const image = factoryImage({ type: 'base', builder: 'nova', status: 'DELETING' })

/** A cloud in which builds left images. */
async function openScene() {
  const scene = await openNovaScene()
  const add = (fields: object) =>
    addImage(scene.fake.state, { name: 'golden', ...fields }, 'active', Buffer.from('a disk')).id
  const left = (id: string, cloud = '') => ({
    ...image,
    properties: { 'x-image-properties-glance_id': id, cloud },
  })
  const context = scene.clearContext({ imageId: image.id })
  const remove = async (one: typeof image) => await scene.builder.remove?.(one, context)
  return { ...scene, add, left, remove, told: context.told }
}

it('the image that a build left in a cloud goes with its record, and no other one', async () => {
  await using scene = await openScene()
  const { fake, add, left, remove } = scene
  const kept = [...fake.state.images.keys(), add({ ingot_image: 'of another build' })]
  await remove(left(add({ ingot_image: image.id })))
  assert.deepEqual([...fake.state.images.keys()], kept)
})

it('that it is gone already is fine, and that there never was one', async () => {
  await using scene = await openScene()
  await scene.remove(scene.left('5c0a2a7e-6f0c-4b7b-9d4b-3f1f1e1d2c3b'))
  assert.equal(scene.clients.opened, 1)
  await scene.remove(image)
  assert.equal(scene.clients.opened, 1, 'nobody asks a cloud in which there is nothing')
})

it('an image whose mark was taken away stays, and that is said', async () => {
  await using scene = await openScene()
  const id = scene.add({ ingot_image: 'of another build' })
  await scene.remove(scene.left(id))
  assert.ok(scene.fake.state.images.has(id))
  assert.match(scene.told.join('\n'), /stays: it is not marked/)
})

it('fails when the cloud refuses, so that it can be tried again', async () => {
  await using scene = await openScene()
  const id = scene.add({ ingot_image: image.id })
  const body = { message: `Image ${id} is protected and cannot be deleted.` }
  scene.fake.fail({ on: 'DELETE /image/v2/images', status: 403, body })
  await assert.rejects(scene.remove(scene.left(id)), failsWith('CLOUD_DENIED'))
  await scene.remove(scene.left(id))
  assert.ok(!scene.fake.state.images.has(id))
})
