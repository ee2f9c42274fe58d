import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { RequestListener } from 'node:http'
import { makeContext } from '../base/context.ts'
import { openKeystone } from '../clouds/keystone.ts'
import type { Image } from '../images/image.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import { openWebServer } from '../testing/web-server.ts'
import { openImageKeys } from './open-image-keys.ts'

const ID = '3b6f0ab8-55a1-4a6b-9d1c-0d4f5f1f0c11'
const SECRET = `/v1/secrets/${ID}`

/** A key manager that shows a secret to those who bring a token, in the type it has, and deletes it. */
async function openCloud(secret: { type: string; payload: string } | undefined, status = 404) {
  const keystone = await openFakeKeystone()
  after(() => keystone[Symbol.asyncDispose]())
  keystone.addUser({ name: 'ann', password: 'p', projects: { demo: ['member'] } })
  const deleted: string[] = []
  const answer: RequestListener = ({ headers, url = '', method }, response) => {
    const isPayload = url.endsWith('/payload')
    if (headers['x-auth-token'] === undefined) response.writeHead(401).end()
    else if (secret === undefined) response.writeHead(status).end()
    else if (method === 'DELETE') {
      deleted.push(url)
      response.writeHead(204).end()
    } else if (isPayload && headers.accept !== secret.type) response.writeHead(406).end()
    else
      response
        .writeHead(200)
        .end(
          isPayload ? secret.payload : JSON.stringify({ content_types: { default: secret.type } }),
        )
  }
  const web = await openWebServer({ [SECRET]: answer, [`${SECRET}/payload`]: answer })
  after(() => web[Symbol.asyncDispose]())
  const context = makeContext()
  const keys = openImageKeys(
    {
      openKeystone: (token) =>
        openKeystone(
          {
            authUrl: keystone.url,
            credentials: { method: 'token', token },
            scope: { project: { id: keystone.projectId('demo') } },
          },
          context,
        ),
    },
    context,
  )
  const asker = { token: keystone.issue('ann', { project: 'demo' }), projectId: 'demo' }
  return { keystone, url: web.url, keys, asker, deleted }
}

/** Of a volume that was encrypted. */
function imageOf(policy: string): Pick<Image, 'id' | 'properties'> {
  return {
    id: 'one',
    properties: {
      cinder_encryption_key_id: ID,
      cinder_encryption_key_deletion_policy: policy,
    },
  }
}

describe('keys that images speak of', () => {
  it('are had from the cloud’s key manager, as whoever asks, in the type they are kept in', async () => {
    for (const type of ['application/octet-stream', 'text/plain; charset=utf-8']) {
      const { keystone, url, keys, asker } = await openCloud({ type, payload: 'certificate' })
      keystone.addService('key-manager', url)
      assert.equal((await keys.findCertificate(ID, asker))?.toString(), 'certificate')
      assert.equal(await keys.findCertificate(ID, { projectId: 'demo' }), undefined)
    }
  })

  it('are nowhere in a cloud that has none of this id, or no key manager', async () => {
    const { keystone, url, keys, asker } = await openCloud(undefined)
    assert.equal(await keys.findCertificate(ID, asker), undefined)
    keystone.addService('key-manager', url)
    assert.equal(await keys.findCertificate(ID, asker), undefined)
  })

  it('are not shown to those who may not see them, which is said', async () => {
    const { keystone, url, keys, asker } = await openCloud(undefined, 403)
    keystone.addService('key-manager', url)
    await assert.rejects(keys.findCertificate(ID, asker), failsWith('CLOUD_DENIED', /key manager/))
  })

  it('go with the image of an encrypted volume, if it says so', async () => {
    const { keystone, url, keys, asker, deleted } = await openCloud({ type: 'x/y', payload: '' })
    keystone.addService('key-manager', url)
    await keys.deleteEncryptionKey(imageOf('do_not_delete'), asker)
    assert.deepEqual(deleted, [])
    await keys.deleteEncryptionKey(imageOf('on_image_deletion'), asker)
    assert.deepEqual(deleted, [SECRET])
  })

  it('that cannot be deleted keep no image', async () => {
    const { keystone, url, keys, asker } = await openCloud(undefined, 403)
    keystone.addService('key-manager', url)
    await keys.deleteEncryptionKey(imageOf('on_image_deletion'), asker)
  })
})
