/** Stores in a real Swift, which `scripts/swift` starts: by Swift's own API, and by its S3 API. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeContext } from '../src/base/context.ts'
import { runTool } from '../src/base/process.ts'
import { KiB, MiB } from '../src/base/units.ts'
import { s3Driver } from '../src/stores/drivers/s3.ts'
import { swiftDriver } from '../src/stores/drivers/swift.ts'
import { openStore } from '../src/stores/open-store.ts'
import type { Store, StoreDriver } from '../src/stores/store.ts'
import { failsWith } from '../src/testing/fails-with.ts'
import { patternOf, storeContract } from '../src/testing/store-contract.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const skip =
  process.env['INGOT_TEST_FULL'] === '1'
    ? false
    : 'a real Swift takes half a minute to start: INGOT_TEST_FULL=1 (make test-full)'

interface RunningSwift {
  readonly auth_url: string
  readonly username: string
  readonly password: string
  readonly s3_endpoint: string
  readonly s3_access_key: string
  readonly s3_secret_key: string
  readonly region: string
}

describe('object stores in a real Swift', { skip, timeout: 900_000 }, async () => {
  const script = join(import.meta.dirname, '../scripts/swift')
  // It is stopped before its directory is removed: what was declared first ends first.
  after(async () => await runTool([script, 'stop', at('swift')]))
  const at = await tempDir()
  const context = { ...makeContext(), dataDir: at('data') }
  let swift: RunningSwift | undefined
  before(async () => {
    const told = await runTool([script, 'start', at('swift')], { timeoutMs: 600_000 })
    swift = JSON.parse(told.toString()) as RunningSwift
  })

  const running = (): RunningSwift => {
    assert.ok(swift)
    return swift
  }
  const open = async (driver: StoreDriver, options: object): Promise<Store> =>
    await openStore({ id: 'far', type: driver.name, options: { ...options } }, driver, context)
  const openSwift = async (options: object = {}): Promise<Store> => {
    const { auth_url, username, password } = running()
    const auth = { auth_url, auth_version: 1, username, password }
    return await open(swiftDriver, { ...auth, container: `c-${randomUUID()}`, ...options })
  }
  const openS3 = async (options: object = {}): Promise<Store> => {
    const { s3_endpoint: endpoint, region } = running()
    const { s3_access_key: access_key, s3_secret_key: secret_key } = running()
    const place = { endpoint, region, bucket: `b-${randomUUID()}`, create_bucket: true }
    return await open(s3Driver, { ...place, access_key, secret_key, ...options })
  }

  // 5 MiB in segments of 128 KiB are more than the 20 of one manifest: manifests of manifests.
  storeContract(
    'a real Swift',
    async () => ({ store: await openSwift({ segment_size: 128 * KiB }) }),
    {
      randomObjects: 6,
    },
  )
  storeContract(
    'a real Swift, with a prefix, in few segments',
    async () => ({ store: await openSwift({ segment_size: 1 * MiB, prefix: 'images/v1-' }) }),
    { randomObjects: 3 },
  )
  // s3api takes no more parts than one manifest has segments.
  storeContract(
    'the S3 API of a real Swift',
    async () => ({ store: await openS3({ part_size: 512 * KiB }) }),
    { randomObjects: 6 },
  )

  for (const [name, openOne] of [
    ['swift', () => openSwift({ segment_size: 1 * MiB })],
    ['s3', () => openS3({ part_size: 4 * MiB })],
  ] as const) {
    it(`gives any range of a large object, by ${name}`, async () => {
      await using store = await openOne()
      const bytes = patternOf(24 * MiB + 77, 9)
      {
        await using writer = await store.create('large', bytes.length)
        for (let from = 0; from < bytes.length; from += MiB)
          await writer.write(from, bytes.subarray(from, from + MiB))
        await writer.finish(bytes.length)
      }
      await using source = await store.open('large')
      for (let from = 0; from < bytes.length; from += MiB) {
        const length = Math.min(MiB, bytes.length - from)
        assert.ok(bytes.subarray(from, from + length).equals(await source.read(from, length)))
      }
      for (const [from, length] of [
        [1 * MiB - 5, 10],
        [4 * MiB - 1, 5 * MiB],
        [bytes.length - 3, 3],
      ] as const)
        assert.ok(bytes.subarray(from, from + length).equals(await source.read(from, length)))
      await store.remove('large')
      assert.deepEqual(await Array.fromAsync(store.list!()), [])
    })

    it(`is refused with wrong credentials, by ${name}`, async () => {
      await using store =
        name === 's3' ? await openS3({ secret_key: 'x' }) : await openSwift({ password: 'x' })
      await assert.rejects(store.open('any'), failsWith('STORE_DENIED'))
    })
  }
})
