import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { baseOrder, mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { mockBuilder } from '../builders/mock.ts'
import { defineCloudTarget } from '../cloud-target.ts'
import { defineOsBuilder } from '../os-builder.ts'
import { mockTarget } from '../targets/mock.ts'

const at = await tempDir()

/** A cloud whose images can be counted, and which asks for a password. */
const images = new Set<string>()
const countingTarget = defineCloudTarget<object, object, { readonly password: string }>({
  name: 'counting',
  summary: 'for tests',
  options: Type.Object({}),
  provider: {
    options: Type.Object({ zone: Type.Optional(Type.String()) }),
    credentials: Type.Object({ password: Type.String({ secret: true }) }),
  },
  format: () => 'raw',
  push: async ({ context }) => {
    const identifier = context.newId()
    images.add(identifier)
    return { identifier }
  },
  remove: async ({ identifierOnProvider }, { credentials: { password } }) => {
    if (password !== 'right-password')
      throw new Failure('CLOUD_DENIED', `the password ${password} is wrong`)
    images.delete(identifierOnProvider ?? '')
  },
})

/** A cloud in which base images are built, and stay. */
const built = new Map<string, 'can go' | 'held'>()
const cloudBuilder = defineOsBuilder({
  name: 'cloud',
  summary: 'for tests',
  options: Type.Object({ builder: Type.Optional(Type.String()) }),
  concurrency: 1,
  build: async ({ image: { id } }) => {
    built.set(id, 'can go')
    return { properties: { in_cloud: id } }
  },
  remove: async ({ id, properties }) => {
    assert.equal(properties['in_cloud'], id)
    if (built.get(id) === 'held') throw new Failure('CLOUD_DENIED', `image ${id} is held`)
    built.delete(id)
  },
})

const bench = await openTestFactory({
  directory: at('delete'),
  builders: [mockBuilder, cloudBuilder],
  targets: [mockTarget, countingTarget],
})
after(() => bench[Symbol.asyncDispose]())
const { factory, catalog } = bench

async function deleted(id: string): Promise<void> {
  const patience = AbortSignal.timeout(60_000)
  for await (const event of factory.follow(id, patience))
    if (event.kind === 'image' && event.image.status.startsWith('DELETE'))
      assert.equal(event.image.status, 'DELETED')
}

function chainOrder(target: string) {
  return {
    requester: REQUESTER,
    target,
    provider: 'there',
    credentials: { password: 'right-password' },
    template: mockTemplate(),
    parameters: {},
    unknownParameters: 'refuse' as const,
  }
}

describe('deletion', () => {
  it('leaves images that were made of it, and their body', async () => {
    const target = await bench.ended(
      await factory.orderTarget({ ...chainOrder('mock'), target: 'mock' }),
    )
    const baseId = target.parentId ?? ''
    await factory.delete(baseId)
    await deleted(baseId)
    await assert.rejects(factory.get(baseId), failsWith('BUILD_NOT_FOUND'))
    assert.equal((await catalog.get(baseId))?.status, 'active')
    await factory.delete(target.id)
    await deleted(target.id)
    assert.equal(await catalog.get(baseId), undefined)
    assert.deepEqual(await factory.list({}), [])
  })

  it('of a provider image removes what is in the cloud, by credentials that are given again', async () => {
    const image = await bench.ended(await factory.orderProvider(chainOrder('counting')))
    assert.deepEqual([image.status, images.size], ['COMPLETE', 1])
    await assert.rejects(factory.delete(image.id), failsWith('REQUEST_INVALID'))
    await factory.delete(image.id, { credentials: { password: 'wrong-password' } })
    const failed = await bench.ended(image)
    assert.deepEqual([failed.status, failed.error], ['DELETEFAILED', 'the password *** is wrong'])
    assert.equal(images.size, 1)
    await factory.delete(image.id, { credentials: { password: 'right-password' } })
    await deleted(image.id)
    assert.equal(images.size, 0)
  })

  it('of a base image removes what is in the cloud where it was built; what that refuses can be asked for again', async () => {
    const image = await bench.ended(await factory.orderBase(baseOrder({ builder: 'cloud' })))
    built.set(image.id, 'held')
    await factory.delete(image.id)
    const failed = await bench.ended(image)
    assert.deepEqual([failed.status, failed.error], ['DELETEFAILED', `image ${image.id} is held`])
    built.set(image.id, 'can go')
    await factory.delete(image.id)
    await deleted(image.id)
    assert.equal(built.size, 0)
  })

  it('leaves in clouds what is to be kept there, and asks nobody for credentials then', async () => {
    const base = await bench.ended(await factory.orderBase(baseOrder({ builder: 'cloud' })))
    const pushed = await bench.ended(await factory.orderProvider(chainOrder('counting')))
    for (const { id } of [base, pushed]) {
      await factory.delete(id, { keep: true })
      await deleted(id)
      await assert.rejects(factory.get(id), failsWith('BUILD_NOT_FOUND'))
    }
    assert.deepEqual([...built.keys()], [base.id])
    assert.deepEqual([...images], [pushed.identifierOnProvider])
  })

  it('is refused while it is at work, or something is made of it', async () => {
    const image = await factory.orderBase(baseOrder({ mock_wait: 600 }))
    await assert.rejects(factory.delete(image.id), failsWith('BUILD_STATE'))
    await factory.cancel(image.id)
    await bench.ended(image)
    await factory.delete(image.id)
    await deleted(image.id)
    await assert.rejects(factory.delete(image.id), failsWith('BUILD_NOT_FOUND'))
  })
})
