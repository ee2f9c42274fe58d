import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { KiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { openTestServer, type TestServer } from '../../testing/test-service.ts'
import type { Json } from '../../tasks/task.ts'
import type { FactoryImage } from '../factory-image.ts'
import { remoteBuilder } from './remote.ts'

const at = await tempDir()
const TOKEN = 'token-of-this-factory'
const PROJECT = 'p-builds'
let other: TestServer
before(async () => {
  other = await openTestServer({ callers: { [TOKEN]: { project: PROJECT, roles: ['member'] } } })
})
after(async () => await other[Symbol.asyncDispose]())

/** A factory that has nothing but the other one. */
async function openFactory(name: string, more: { readonly leaseMs?: number } = {}) {
  const builder = remoteBuilder({
    other: { endpoint: other.url, token: TOKEN },
    stranger: { endpoint: other.url, token: 'nobody-knows' },
    away: { endpoint: 'http://127.0.0.1:9' },
  })
  return await openTestFactory({ directory: at(name), builders: [builder], ...more })
}

const order = (parameters: Record<string, Json>) => ({
  requester: REQUESTER,
  template: mockTemplate('remote'),
  parameters: { remote: 'other', ...parameters },
  unknownParameters: 'refuse' as const,
})

const buildsThere = async () => await other.service.factory.list({ owner: PROJECT })

/** What the build is called there. */
function remoteIdOf({ properties }: FactoryImage): string {
  const { remote_build: id } = properties
  assert.ok(typeof id === 'string')
  return id
}

describe('a build that is handed to another Ingot', () => {
  it('is made there; its log, documents and body come here, and nothing is left there', async () => {
    await using bench = await openFactory('store')
    const console = 'Debian GNU/Linux\r\n'
    const parameters = { remote_parameters: { mock_console: console } }
    const image = await bench.ended(await bench.factory.orderBase(order(parameters)))
    assert.deepEqual([image.status, image.error, image.percent], ['COMPLETE', null, 100])
    assert.equal((await bench.catalog.get(image.bodyId ?? ''))?.virtualSize, 64 * KiB)
    const log = await bench.factory.readLog(image.id)
    assert.ok(log.some(({ kind, text }) => kind === 'console' && text === console))
    assert.ok(!JSON.stringify([log, image]).includes(TOKEN))
    const icicle = await bench.factory.readDocument(image.id, 'icicle')
    assert.match(Buffer.from(icicle ?? []).toString(), /<icicle>/)
    const left = (await buildsThere()).filter(({ status }) => status !== 'DELETED')
    for (const { id } of left)
      await Array.fromAsync(other.service.factory.follow(id, AbortSignal.timeout(60_000)))
    assert.deepEqual(
      (await buildsThere()).filter(({ status }) => status === 'COMPLETE'),
      [],
    )
  })

  it('may stay there: then it says where it is', async () => {
    await using bench = await openFactory('stay')
    const image = await bench.ended(await bench.factory.orderBase(order({ result: 'stay' })))
    assert.deepEqual([image.status, image.bodyId], ['COMPLETE', null])
    const there = await other.service.factory.get(remoteIdOf(image))
    assert.deepEqual([there.status, there.bodyId], ['COMPLETE', image.properties['remote_image']])
  })

  it('that fails there fails here, and says why', async () => {
    await using bench = await openFactory('fails')
    const parameters = { remote_parameters: { mock_fail: 'the disk is on fire' } }
    const image = await bench.ended(await bench.factory.orderBase(order(parameters)))
    assert.equal(image.status, 'FAILED')
    assert.match(image.error ?? '', /the disk is on fire/)
  })

  for (const who of ['by its name', 'by its address, with a token of the order'])
    it(`that is cancelled here is cancelled there, where the other is known ${who}`, async () => {
      await using bench = await openFactory(`cancel ${who}`)
      const place = who === 'by its name' ? {} : { endpoint: other.url, token: TOKEN }
      const waiting = order({ ...place, remote_parameters: { mock_wait: 600 } })
      const image = await bench.factory.orderBase(waiting)
      const signal = AbortSignal.timeout(60_000)
      for await (const event of bench.factory.follow(image.id, signal))
        if (event.kind === 'image' && 'remote_build' in event.image.properties) break
      const id = remoteIdOf(await bench.factory.get(image.id))
      await bench.factory.cancel(image.id)
      assert.equal((await bench.ended(image)).error, 'cancelled')
      const there = await other.service.factory.get(id).catch(() => undefined)
      const status = there?.status ?? 'DELETED'
      assert.ok(status.startsWith('DELET'), status)
    })

  it('is refused or fails where there is no such remote, a wrong token, or nobody', async () => {
    await using bench = await openFactory('refused')
    const nameless = { ...order({}), parameters: {} }
    await assert.rejects(bench.factory.orderBase(nameless), failsWith('PART_UNKNOWN'))
    for (const [remote, message] of [
      ['nobody', /no remote is called nobody/],
      ['stranger', /401/],
      ['away', /127\.0\.0\.1:9/],
    ] as const) {
      const image = await bench.ended(await bench.factory.orderBase(order({ remote })))
      assert.equal(image.status, 'FAILED')
      assert.match(image.error ?? '', message)
    }
  })
})
