import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Type } from '../../schema/type.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { baseOrder, mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { mockBuilder } from '../builders/mock.ts'
import { defineCloudTarget } from '../cloud-target.ts'
import { defineOsBuilder } from '../os-builder.ts'
import { mockTarget } from '../targets/mock.ts'

const at = await tempDir()

const otherBuilder = defineOsBuilder({
  name: 'other',
  summary: 'for tests',
  options: Type.Object({ flavor: Type.String(), size: Type.Integer({ default: 7 }) }),
  concurrency: 1,
  refuses: ({ os }) => (os?.name === 'MockOS_B' ? 'it makes no MockOS_B' : undefined),
  build: async () => ({}),
})
const strictTarget = defineCloudTarget({
  name: 'strict',
  summary: 'for tests',
  options: Type.Object({ zone: Type.Optional(Type.Integer()) }),
  provider: {
    options: Type.Object({
      endpoint: Type.String(),
      token: Type.Optional(Type.String({ secret: true })),
    }),
    credentials: Type.Object({ password: Type.String({ secret: true }) }),
  },
  format: () => 'raw',
  push: async ({ provider }) => ({ identifier: JSON.stringify(provider.options) }),
})
const filesOnly = defineCloudTarget({
  name: 'files-only',
  summary: 'for tests',
  options: Type.Object({}),
  format: () => 'qcow2',
})

// Nobody works: what is ordered stays as it was ordered.
const bench = await openTestFactory({
  directory: at('orders'),
  works: false,
  builders: [mockBuilder, otherBuilder],
  targets: [mockTarget, strictTarget, filesOnly],
  settings: {
    providers: {
      configured: {
        target: 'strict',
        options: { endpoint: 'https://cloud.example' },
        credentials: { password: 'of-the-configuration' },
      },
    },
  },
})
after(() => bench[Symbol.asyncDispose]())
const { factory } = bench

function providerOrder(more: object) {
  return {
    requester: REQUESTER,
    target: 'strict',
    provider: 'configured',
    template: mockTemplate(),
    parameters: {},
    unknownParameters: 'refuse' as const,
    ...more,
  }
}

describe('an order', () => {
  it('is made by the builder that can, that is named, or that the parameters name', async () => {
    assert.equal((await factory.orderBase(baseOrder())).builder, 'mock')
    const byName = { ...baseOrder({ flavor: 'small' }), builder: 'other' }
    assert.equal((await factory.orderBase(byName)).builder, 'other')
    const byParameter = baseOrder({ flavor: 'small', builder: 'other' })
    assert.equal((await factory.orderBase(byParameter)).builder, 'other')
  })

  it('takes texts for what they stand for, as command lines give them', async () => {
    const image = await factory.orderBase(baseOrder({ mock_size: '1024', timeout: '60' }))
    assert.equal(image.status, 'NEW')
    await assert.rejects(
      factory.orderBase(baseOrder({ mock_size: 'large' })),
      failsWith('REQUEST_INVALID'),
    )
  })

  it('is refused, and nothing is kept, if anything is wrong with it', async () => {
    const before = (await factory.list({})).length
    const base = baseOrder()
    const wrong: [code: Parameters<typeof failsWith>[0], order: Promise<unknown>][] = [
      ['TEMPLATE_INVALID', factory.orderBase({ ...base, template: { text: '<template/>' } })],
      ['RECIPE_INVALID', factory.orderBase({ ...base, template: { text: 'nonsense: [' } })],
      ['PART_UNKNOWN', factory.orderBase({ ...base, builder: 'mok' })],
      [
        'TEMPLATE_INVALID',
        factory.orderBase({
          ...base,
          template: mockTemplate('b', 'MockOS_B'),
          parameters: { flavor: 'x' },
          builder: 'other',
        }),
      ],
      ['REQUEST_INVALID', factory.orderBase({ ...base, builder: 'other' })],
      ['REQUEST_INVALID', factory.orderBase(baseOrder({ mock_sise: 7 }))],
      ['REQUEST_INVALID', factory.orderBase(baseOrder({ timeout: -1 }))],
      ['PART_UNKNOWN', factory.orderTarget({ ...base, target: 'strikt' })],
      ['REQUEST_INVALID', factory.orderTarget({ ...base, template: undefined, target: 'mock' })],
      ['REQUEST_INVALID', factory.orderTarget({ ...base, baseId: 'x', target: 'mock' })],
      [
        'BUILD_NOT_FOUND',
        factory.orderTarget({ ...base, template: undefined, baseId: 'x', target: 'mock' }),
      ],
      [
        'REQUEST_INVALID',
        factory.orderTarget({ ...base, target: 'strict', parameters: { zone: 'x' } }),
      ],
      ['REQUEST_INVALID', factory.orderProvider(providerOrder({ target: 'files-only' }))],
      ['REQUEST_INVALID', factory.orderProvider(providerOrder({ provider: 'unknown' }))],
      [
        'REQUEST_INVALID',
        factory.orderProvider(providerOrder({ definition: { endpoint: 'https://evil.example' } })),
      ],
      ['REQUEST_INVALID', factory.orderProvider(providerOrder({ credentials: '<!DOCTYPE a>' }))],
    ]
    for (const [index, [code, order]] of wrong.entries())
      await assert.rejects(order, failsWith(code), `${index}: ${code}`)
    assert.equal((await factory.list({})).length, before)
  })

  it('names what was meant', async () => {
    await assert.rejects(factory.orderBase(baseOrder({ mock_sise: 7 })), /did you mean 'mock_size'/)
    await assert.rejects(
      factory.orderTarget({ ...baseOrder(), target: 'strikt' }),
      /did you mean 'strict'/,
    )
    await assert.rejects(
      factory.orderProvider(providerOrder({ provider: 'configurde' })),
      /endpoint|no provider 'configurde' .*did you mean 'configured'/,
    )
  })

  it('tells unknown parameters in the log if that is wanted', async () => {
    const order = { ...baseOrder({ oz_overrides: '{}' }), unknownParameters: 'tell' as const }
    const image = await factory.orderBase(order)
    const log = await factory.readLog(image.id)
    assert.deepEqual(
      log.map(({ text }) => text),
      ["unknown parameter 'oz_overrides': left alone"],
    )
  })

  it('takes a provider of the configuration, or one that is defined with it, without showing secrets', async () => {
    const configured = await factory.orderProvider(providerOrder({}))
    assert.deepEqual([configured.provider, configured.status], ['configured', 'PENDING'])
    const defined = await factory.orderProvider(
      providerOrder({
        provider: '<provider name="mine" endpoint="https://mine.example" token="a-token-of-mine"/>',
        credentials:
          '<provider_credentials><x_credentials><password>of-the-order</password></x_credentials></provider_credentials>',
      }),
    )
    assert.equal(defined.provider, 'mine')
    const rows = await bench.database
      .read<{ factory_images: { id: string; definition: string | null } }>()
      .selectFrom('factory_images')
      .selectAll()
      .execute()
    const kept = JSON.stringify(rows)
    for (const secret of ['of-the-order', 'a-token-of-mine', 'of-the-configuration'])
      assert.ok(!kept.includes(secret), secret)
    assert.ok(kept.includes('https://mine.example'))
  })

  it('is listed newest first, page by page', async () => {
    const all = await factory.list({ type: 'base', owner: REQUESTER.owner })
    const [first, second] = all
    assert.ok(first && second)
    const [next] = await factory.list({ type: 'base', limit: 1, after: first })
    assert.equal(next?.id, second.id)
    assert.deepEqual(await factory.list({ owner: 'nobody' }), [])
    const targets = await factory.list({ target: 'strict', type: 'target' })
    assert.ok(targets.length > 0 && targets.every(({ target }) => target === 'strict'))
    const [target] = targets
    assert.equal((await factory.list({ parentId: target?.id ?? '' }))[0]?.type, 'provider')
  })
})
