import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MiB } from '../../base/units.ts'
import { serviceDefaults } from '../../app/service-config.ts'
import { makeSigner } from '../../testing/signer.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openTestServer, type TestServer } from '../../testing/test-service.ts'
import { openWebServer } from '../../testing/web-server.ts'

const directory = (await tempDir())('')
const signer = await makeSigner(directory)
const DISK = Buffer.alloc(2 * MiB, 'disk')
const OTHER = Buffer.alloc(2 * MiB, 'dusk')
const SIGNED = await signer.sign(DISK)
const STREAM = { 'content-type': 'application/octet-stream' }

async function openServer(certificates: string | undefined = directory): Promise<TestServer> {
  const { import: usual } = serviceDefaults('.')
  const web = { ...usual.web, allowed_hosts: ['127.0.0.1'], allowed_ports: [], retries: 0 }
  const image = { ...serviceDefaults('.').image, certificates_dir: certificates }
  return await openTestServer({ config: { import: { ...usual, web }, image } })
}

async function createImage(server: TestServer, properties: object = SIGNED): Promise<string> {
  const body = { disk_format: 'raw', container_format: 'bare', ...properties }
  const { json, status } = await server.ask('POST /v2/images', { body })
  assert.equal(status, 201)
  return json.id
}

async function bring(server: TestServer, id: string, way: 'file' | 'stage', body: Uint8Array) {
  return await server.ask(`PUT /v2/images/${id}/${way}`, { body, headers: STREAM })
}

async function imported(server: TestServer, id: string, method: object) {
  const asked = await server.ask(`POST /v2/images/${id}/import`, { body: { method } })
  assert.equal(asked.status, 202)
  for (;;) {
    const { json } = await server.ask(`GET /v2/images/${id}`)
    if (json.os_glance_import_task === undefined && json.status !== 'importing') {
      const { json: told } = await server.ask(`GET /v2/images/${id}/tasks`)
      return { status: json.status, message: told.tasks[0].message as string }
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('an image that says who signed its data', () => {
  it('takes the data that was signed, and no other', async () => {
    await using server = await openServer()
    const id = await createImage(server)
    const refused = await bring(server, id, 'file', OTHER)
    assert.equal(refused.status, 400)
    assert.match(refused.json.message, /other data than what certificate .* has signed/)
    const image = (await server.ask(`GET /v2/images/${id}`)).json
    assert.deepEqual([image.status, image.size, image.checksum], ['queued', null, null])
    assert.equal((await bring(server, id, 'file', DISK)).status, 204)
    assert.equal((await server.ask(`GET /v2/images/${id}`)).json.status, 'active')
  })

  it('is told before any data is read that there is no certificate, or no sense in it', async () => {
    await using server = await openServer(`${directory}/nowhere`)
    const missing = await bring(server, await createImage(server), 'file', DISK)
    assert.equal(missing.status, 400)
    assert.match(missing.json.message, /no certificate .* to verify it with/)
    const senseless = await createImage(server, { ...SIGNED, img_signature_hash_method: 'MD5' })
    const { status, json } = await bring(server, senseless, 'stage', DISK)
    assert.equal(status, 400)
    assert.match(json.message, /img_signature_hash_method: wanted SHA-224/)
  })

  it('is verified as it is staged; what was refused then fails the import', async () => {
    await using server = await openServer()
    const id = await createImage(server)
    assert.equal((await bring(server, id, 'stage', OTHER)).status, 204)
    const refused = await imported(server, id, { name: 'glance-direct' })
    assert.equal(refused.status, 'queued')
    assert.match(refused.message, /other data than what certificate/)
    assert.equal((await bring(server, id, 'stage', DISK)).status, 204)
    assert.equal((await imported(server, id, { name: 'glance-direct' })).status, 'active')
  })

  it('cannot be given a signature between staging and import that nobody verified', async () => {
    await using server = await openServer()
    const id = await createImage(server, {})
    assert.equal((await bring(server, id, 'stage', OTHER)).status, 204)
    const changes = Object.entries(SIGNED).map(([name, value]) => ({
      op: 'add',
      path: `/${name}`,
      value,
    }))
    assert.equal((await server.ask(`PATCH /v2/images/${id}`, { body: changes })).status, 200)
    const { status, message } = await imported(server, id, { name: 'glance-direct' })
    assert.equal(status, 'queued')
    assert.match(message, /stage it again/)
  })

  it('is verified when its data comes from the web', async () => {
    await using server = await openServer()
    await using web = await openWebServer({ '/disk': DISK, '/other': OTHER })
    const id = await createImage(server)
    const from = (path: string) => ({ name: 'web-download', uri: `${web.url}${path}` })
    const refused = await imported(server, id, from('/other'))
    assert.equal(refused.status, 'queued')
    assert.match(refused.message, /other data than what certificate/)
    assert.equal((await imported(server, id, from('/disk'))).status, 'active')
  })
})
