import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openTestServer } from '../../testing/test-service.ts'

describe('GET /v2/info/usage', () => {
  it('says what the project of the caller has, and may have; -1 is no limit', async () => {
    const limits = { image_count_total: 2, image_size_total: 100 }
    await using server = await openTestServer({
      config: { quotas: { default: limits, projects: { 'p-bob': { image_count_total: 5 } } } },
    })
    const made = await server.ask('POST /v2/images', { as: 'alice', body: {} })
    assert.equal(made.status, 201, made.text)
    const { status, json } = await server.ask('GET /v2/info/usage', { as: 'reader' })
    assert.equal(status, 200)
    assert.deepEqual(json, {
      usage: {
        image_size_total: { usage: 0, limit: 100 },
        image_stage_total: { usage: 0, limit: -1 },
        image_count_total: { usage: 1, limit: 2 },
        image_count_uploading: { usage: 0, limit: -1 },
      },
    })
    const bob = await server.ask('GET /v2/info/usage', { as: 'bob' })
    assert.deepEqual((bob.json as { usage: Record<string, unknown> }).usage['image_count_total'], {
      usage: 0,
      limit: 5,
    })
  })

  it('counts bytes in whole MiB', async () => {
    await using server = await openTestServer({
      config: { quotas: { default: { image_size_total: 100 }, projects: {} } },
    })
    const body = { container_format: 'bare', disk_format: 'raw' }
    const made = await server.ask('POST /v2/images', { as: 'alice', body })
    const { id } = made.json as { id: string }
    const uploaded = await server.ask(`PUT /v2/images/${id}/file`, {
      as: 'alice',
      body: new Uint8Array(2.5 * 1024 * 1024),
      headers: { 'content-type': 'application/octet-stream' },
    })
    assert.equal(uploaded.status, 204, uploaded.text)
    const { json } = await server.ask('GET /v2/info/usage', { as: 'alice' })
    const { usage } = json as { usage: Record<string, unknown> }
    assert.deepEqual(usage['image_size_total'], { usage: 2, limit: 100 })
  })

  it('says nothing when nothing is limited, and nothing at all to who is not known', async () => {
    await using server = await openTestServer()
    assert.deepEqual((await server.ask('GET /v2/info/usage')).json, { usage: {} })
    assert.equal((await server.ask('GET /v2/info/usage', { as: null })).status, 401)
  })
})
