import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MiB } from '../../base/units.ts'
import { openTestServer, type TestConfig, type TestServer } from '../../testing/test-service.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { serviceDefaults } from '../../app/service-config.ts'

const DISK = Buffer.alloc(2 * MiB, 'disk')
const STREAM = { 'content-type': 'application/octet-stream' }

/** Of a service that may ask this machine. */
function localConfig(more: TestConfig = {}): TestConfig {
  const { import: usual } = serviceDefaults('.')
  const web = { ...usual.web, allowed_hosts: ['127.0.0.1'], allowed_ports: [], retries: 0 }
  return {
    ...more,
    import: { ...usual, web, steps: ['decompress'], ...more.import },
    stores: {
      default: 'fast',
      list: [
        { id: 'fast', type: 'memory', description: 'the fast one', weight: 10 },
        { id: 'slow', type: 'memory' },
        { id: 'web', type: 'http', options: { allowed_hosts: ['127.0.0.1'] } },
      ],
    },
  }
}

async function createImage(server: TestServer, as = 'alice', more: object = {}): Promise<string> {
  const body = { disk_format: 'raw', container_format: 'bare', ...more }
  const { json, status } = await server.ask('POST /v2/images', { as, body })
  assert.equal(status, 201)
  return json.id
}

/** The image, when nothing works on it any more. */
async function settled(server: TestServer, id: string, as = 'alice') {
  for (;;) {
    const { json } = await server.ask(`GET /v2/images/${id}`, { as })
    if (json.os_glance_import_task === undefined && json.status !== 'importing') return json
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function importFrom(server: TestServer, id: string, body: object, as = 'alice') {
  return await server.ask(`POST /v2/images/${id}/import`, { as, body })
}

describe('POST /v2/images/{id}/import', () => {
  it('answers 202 with nothing, and imports what was staged', async () => {
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server)
    const staged = await server.ask(`PUT /v2/images/${id}/stage`, {
      as: 'alice',
      body: DISK,
      headers: STREAM,
    })
    assert.equal(staged.status, 204)
    const { status, text } = await importFrom(server, id, { method: { name: 'glance-direct' } })
    assert.deepEqual([status, text], [202, ''])
    const image = await settled(server, id)
    assert.deepEqual([image.status, image.size, image.stores], ['active', DISK.length, 'fast'])
    assert.deepEqual([image.os_glance_importing_to_stores, image.os_glance_failed_import], ['', ''])
    const { json } = await server.ask(`GET /v2/images/${id}/tasks`, { as: 'alice' })
    const [task] = json.tasks
    assert.equal(json.tasks.length, 1)
    assert.deepEqual(
      [task.type, task.status, task.image_id, task.user_id, task.owner, task.deleted],
      ['api_image_import', 'success', id, 'alice', 'p-alice', false],
    )
    assert.deepEqual(task.input, {
      image_id: id,
      import_req: {
        method: { name: 'glance-direct' },
        stores: ['fast'],
        all_stores: false,
        all_stores_must_succeed: true,
      },
      backend: ['fast'],
    })
    assert.deepEqual(task.result, { image_id: id })
    assert.match(task.expires_at, /Z$/)
    const again = await importFrom(server, id, { method: { name: 'glance-direct' } })
    assert.equal(again.status, 409)
  })

  it('tells in its task, not at the stage, that content is refused', async () => {
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server, 'alice', { disk_format: 'qcow2' })
    const put = async (what: string, body: Buffer) =>
      await server.ask(`PUT /v2/images/${id}/${what}`, { as: 'alice', body, headers: STREAM })
    assert.equal((await put('file', DISK)).status, 415)
    assert.equal((await put('stage', DISK)).status, 204)
    const staged = await server.ask(`GET /v2/images/${id}`, { as: 'alice' })
    assert.deepEqual([staged.json.status, staged.json.size], ['uploading', null])
    const { status } = await importFrom(server, id, { method: { name: 'glance-direct' } })
    assert.equal(status, 202)
    assert.equal((await settled(server, id)).status, 'queued')
    const { json } = await server.ask(`GET /v2/images/${id}/tasks`, { as: 'alice' })
    assert.equal(json.tasks[0].status, 'failure')
    assert.match(json.tasks[0].message, /said to be qcow2/)
  })

  it('imports from the web into the stores that are named, and tells why it failed', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server)
    const bad = { method: { name: 'web-download', uri: `${web.url}/none` } }
    assert.equal((await importFrom(server, id, bad)).status, 202)
    assert.equal((await settled(server, id)).status, 'queued')
    const { json } = await server.ask(`GET /v2/images/${id}/tasks`, { as: 'alice' })
    assert.deepEqual([json.tasks[0].status], ['failure'])
    assert.match(json.tasks[0].message, /404/)

    const address = web.url.replace('//', '//user:secret@')
    const good = {
      method: { name: 'web-download', uri: `${address}/disk` },
      stores: ['slow', 'fast'],
    }
    assert.equal((await importFrom(server, id, good)).status, 202)
    const image = await settled(server, id)
    assert.deepEqual(
      [image.status, image.stores.split(',').toSorted()],
      ['active', ['fast', 'slow']],
    )
    const tasks = await server.ask(`GET /v2/images/${id}/tasks`, { as: 'alice' })
    assert.ok(!tasks.text.includes('secret'))
    const removed = await server.ask(`DELETE /v2/stores/slow/${id}`)
    assert.equal(removed.status, 204)
  })

  it('refuses what it cannot do, at once', async () => {
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server)
    const open = await createImage(server, 'admin', { visibility: 'public' })
    const bare = (await server.ask('POST /v2/images', { as: 'alice', body: {} })).json.id
    const web = { name: 'web-download', uri: 'http://127.0.0.1/x' }
    const cases: [number, string, unknown, string?][] = [
      [400, id, {}],
      [400, id, []],
      [400, id, { method: {} }],
      [400, id, { method: 'web-download' }],
      [400, id, { method: { name: 'teleport' } }],
      [400, id, { method: { name: 'web-download' } }],
      [400, id, { method: { name: 'web-download', uri: 'ftp://127.0.0.1/x' } }],
      [400, id, { method: web, all_stores: 'yes' }],
      [400, id, { method: web, all_stores_must_succeed: 1 }],
      [400, id, { method: web, all_stores: true, stores: ['fast'] }],
      [400, id, { method: web, stores: 'fast' }],
      [409, id, { method: web, stores: ['nowhere'] }],
      [409, id, { method: { name: 'glance-direct' } }],
      [409, bare, { method: web }],
      [403, id, { method: { name: 'copy-image' } }],
      [409, id, { method: { name: 'copy-image' } }, 'admin'],
      [403, id, { method: web }, 'reader'],
      [404, id, { method: web }, 'bob'],
      [403, open, { method: web }, 'bob'],
      [404, '00000000-0000-4000-8000-000000000000', { method: web }],
    ]
    for (const [status, image, body, as = 'alice'] of cases) {
      const answer = await server.ask(`POST /v2/images/${image}/import`, { as, body })
      assert.equal(answer.status, status, JSON.stringify(body) + answer.text)
    }
  })

  it('is stopped by cancel-import, and the image can be tried again', async () => {
    await using web = await openWebServer({ '/slow': () => {} })
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server)
    const body = { method: { name: 'web-download', uri: `${web.url}/slow` } }
    assert.equal((await importFrom(server, id, body)).status, 202)
    assert.equal((await importFrom(server, id, body)).status, 409)
    const cancel = `POST /v2/images/${id}/actions/cancel-import`
    assert.equal((await server.ask(cancel, { as: 'reader' })).status, 403)
    assert.equal((await server.ask(cancel, { as: 'alice' })).status, 204)
    assert.equal((await settled(server, id)).status, 'queued')
    assert.equal((await server.ask(cancel, { as: 'alice' })).status, 409)
  })
})

describe('/v2/info', () => {
  it('names import methods and stores, and details for those who may see them', async () => {
    await using server = await openTestServer({ config: localConfig() })
    const methods = await server.ask('GET /v2/info/import', { as: 'reader' })
    assert.deepEqual(methods.json['import-methods'].value, [
      'glance-direct',
      'web-download',
      'copy-image',
      'glance-download',
    ])
    const stores = await server.ask('GET /v2/info/stores', { as: 'reader' })
    assert.deepEqual(stores.json.stores, [
      { id: 'fast', description: 'the fast one', default: 'true' },
      { id: 'slow' },
      { id: 'web', 'read-only': 'true' },
    ])
    assert.equal((await server.ask('GET /v2/info/stores/detail', { as: 'alice' })).status, 403)
    const details = await server.ask('GET /v2/info/stores/detail')
    assert.deepEqual(
      details.json.stores.map(({ type, weight }: Record<string, unknown>) => [type, weight]),
      [
        ['memory', 10],
        ['memory', 0],
        ['http', 0],
      ],
    )
    assert.equal((await server.ask('GET /v2/info/import', { as: null })).status, 401)
  })
})

describe('/v2/tasks', () => {
  it('makes an image from the web for administrators, and lists what is done', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using server = await openTestServer({ config: localConfig() })
    const body = {
      type: 'import',
      input: {
        import_from: `${web.url}/disk`,
        import_from_format: 'raw',
        image_properties: { name: 'from a task' },
      },
    }
    assert.equal((await server.ask('POST /v2/tasks', { as: 'alice', body })).status, 403)
    const made = await server.ask('POST /v2/tasks', { body })
    assert.deepEqual([made.status, made.json.type], [201, 'import'])
    assert.match(made.headers.location ?? '', new RegExp(`/v2/tasks/${made.json.id}$`))
    const image = await settled(server, made.json.image_id, 'admin')
    assert.deepEqual([image.status, image.name], ['active', 'from a task'])
    const shown = await server.ask(`GET /v2/tasks/${made.json.id}`)
    assert.deepEqual([shown.json.status, shown.json.result], ['success', { image_id: image.id }])
    assert.equal(shown.json.input.import_from, `${web.url}/disk`)

    const list = await server.ask('GET /v2/tasks?limit=1&status=success&type=import')
    assert.deepEqual(
      list.json.tasks.map(({ id }: { id: string }) => id),
      [made.json.id],
    )
    assert.equal(list.json.tasks[0].input, undefined)
    const next = await server.ask(`GET ${list.json.next}`)
    assert.deepEqual([next.json.tasks, next.json.next], [[], undefined])
    for (const query of ['status=done', 'limit=-1', 'limit=x', 'marker=none', 'sort_key=owner'])
      assert.equal((await server.ask(`GET /v2/tasks?${query}`)).status, 400, query)
    const removed = await server.ask(`DELETE /v2/tasks/${made.json.id}`)
    assert.deepEqual([removed.status, removed.headers.allow], [405, 'GET'])
    assert.equal((await server.ask('GET /v2/tasks/none')).status, 404)
    assert.equal((await server.ask('GET /v2/tasks', { as: 'alice' })).status, 403)
  })

  it('refuses other work, and leaves no image of what is refused or fails', async () => {
    await using web = await openWebServer({})
    await using server = await openTestServer({ config: localConfig() })
    const input = {
      import_from: `${web.url}/none`,
      import_from_format: 'raw',
      image_properties: {},
    }
    for (const body of [
      { type: 'export', input },
      { type: 'import' },
      { type: 'import', input: {} },
      { type: 'import', input: { ...input, import_from: 'file:///etc/passwd' } },
    ])
      assert.equal((await server.ask('POST /v2/tasks', { body })).status, 400)
    const { json } = await server.ask('POST /v2/tasks', { body: { type: 'import', input } })
    for (;;) {
      const task = await server.ask(`GET /v2/tasks/${json.id}`)
      if (task.json.status === 'failure') break
    }
    assert.deepEqual((await server.ask('GET /v2/images')).json.images, [])
  })
})

describe('locations', () => {
  it('are given by owners, on web servers, and hashed', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using server = await openTestServer({ config: localConfig() })
    const id = await createImage(server)
    const path = `/v2/images/${id}/locations`
    const ask = async (body: object, as = 'alice') =>
      (await server.ask(`POST ${path}`, { as, body })).status
    const url = `${web.url}/disk`
    assert.equal(await ask({}), 400)
    assert.equal(await ask({ url: `${web.url}/none` }), 400)
    assert.equal(await ask({ url: 'http://10.1.2.3/x' }), 400)
    assert.equal(await ask({ url: 'file:///etc/passwd' }), 403)
    assert.equal(
      await ask({ url, validation_data: { os_hash_algo: 'crc', os_hash_value: 'a' } }),
      400,
    )
    assert.equal(await ask({ url }, 'reader'), 403)
    assert.equal(await ask({ url }, 'bob'), 404)

    const validation_data = { os_hash_algo: 'sha256', os_hash_value: 'ab'.repeat(32) }
    assert.equal(await ask({ url, validation_data }), 202)
    const wrong = await settled(server, id)
    assert.deepEqual([wrong.status, wrong.size, wrong.stores], ['queued', null, 'web'])
    const file = await server.ask(`GET /v2/images/${id}/file`, { as: 'alice' })
    assert.equal(file.status, 204, 'nobody reads there')
    const { json } = await server.ask(`GET /v2/images/${id}/tasks`, { as: 'alice' })
    assert.deepEqual([json.tasks[0].type, json.tasks[0].status], ['location_import', 'failure'])

    assert.equal(await ask({ url }), 202)
    const image = await settled(server, id)
    assert.deepEqual(
      [image.status, image.size, image.stores, image.os_hash_algo],
      ['active', DISK.length, 'web', 'sha512'],
    )
    assert.equal(image.checksum.length, 32)
    assert.equal(await ask({ url }), 409)
    assert.equal((await server.ask(`GET ${path}`, { as: 'alice' })).status, 403)
    const shown = await server.ask(`GET ${path}`, { as: 'service' })
    assert.equal(shown.status, 404, 'a service sees what its project sees')
    assert.deepEqual((await server.ask(`GET ${path}`)).json, [{ url, metadata: { store: 'web' } }])
    assert.equal((await server.ask(`DELETE /v2/stores/web/${id}`)).status, 403)
    assert.equal((await server.ask(`DELETE /v2/stores/nowhere/${id}`)).status, 404)
    assert.equal((await server.ask(`DELETE /v2/stores/fast/${id}`)).status, 404)
  })
})
