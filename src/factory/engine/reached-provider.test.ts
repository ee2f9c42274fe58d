import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { publicWeb } from '../../bytes/public-web.ts'
import { hostUplink } from '../../remotes/uplink.ts'
import { Type } from '../../schema/type.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { defineCloudTarget } from '../cloud-target.ts'

const at = await tempDir()
const pushed: string[] = []
const cloud = defineCloudTarget({
  name: 'cloud',
  summary: 'for tests',
  options: Type.Object({}),
  provider: {
    options: Type.Object({
      url: Type.Optional(Type.String()),
      registry: Type.Optional(Type.String()),
    }),
    credentials: Type.Object({ authority: Type.Optional(Type.String()) }),
  },
  format: () => 'raw',
  push: async ({ provider }) => {
    pushed.push(provider.name)
    return { identifier: 'there' }
  },
})
const bench = await openTestFactory({
  directory: at('factory'),
  targets: [cloud],
  reach: { web: publicWeb(['127.0.0.9'], 'name it'), files: false, uplink: hostUplink },
  settings: {
    providers: { inside: { target: 'cloud', options: { url: 'http://127.0.0.1:1' } } },
  },
})
after(() => bench[Symbol.asyncDispose]())

/** A provider image, when it has come to its end. */
async function push(provider: string, definition?: object, credentials?: object) {
  const order = {
    requester: REQUESTER,
    template: mockTemplate(),
    parameters: {},
    unknownParameters: 'refuse' as const,
    target: 'cloud',
    provider,
    definition,
    credentials,
  }
  return await bench.ended(await bench.factory.orderProvider(order))
}

describe('a provider that comes with an order', () => {
  for (const [what, definition, credentials] of [
    ['this host', { url: 'http://127.0.0.1:1/sdk' }],
    ['a metadata service', { url: 'http://169.254.169.254/' }],
    ['a private network, whatever the scheme', { url: 'HTTPS://10.0.0.1/' }],
    ['this host, as a registry', { registry: '127.0.0.1:5000' }],
    ['this host, by its credentials', {}, { authority: 'http://[::1]/' }],
  ] as const)
    it(`is not asked if it leads to ${what}`, async () => {
      const image = await push('given', definition, credentials)
      assert.equal(image.status, 'FAILED')
      assert.match(image.error ?? '', /not on the public internet/)
      assert.ok(!pushed.includes('given'))
    })

  it('is asked on a host that is named, and wherever the configuration says', async () => {
    const image = await push('named', { url: 'http://127.0.0.9:1/' })
    assert.equal(image.status, 'COMPLETE')
    assert.equal((await push('inside')).status, 'COMPLETE')
    assert.deepEqual(pushed, ['named', 'inside'])
  })
})
