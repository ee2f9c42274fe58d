import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { KiB, MiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { type FakeS3, openFakeS3 } from '../../testing/fake-s3.ts'
import { patternOf, storeContract } from '../../testing/store-contract.ts'
import { openStore } from '../open-store.ts'
import type { Store } from '../store.ts'
import { s3Driver } from './s3.ts'

const PART = 256 * KiB
const context = { ...makeContext(), dataDir: '/nowhere' }

async function open(s3: FakeS3, options = {}): Promise<Store> {
  const given = {
    endpoint: s3.endpoint,
    bucket: 'images',
    access_key: s3.accessKey,
    secret_key: s3.secretKey,
    part_size: PART,
    ...options,
  }
  return await openStore({ id: 'far', type: 's3', options: given }, s3Driver, context)
}

async function put(store: Store, key: string, bytes: Uint8Array, size?: number): Promise<void> {
  await using writer = await store.create(key, size)
  await writer.write(0, bytes)
  await writer.finish(bytes.length)
}

const [plain, other] = [
  await openFakeS3({ buckets: ['images'], minPart: PART, pageSize: 2 }),
  await openFakeS3({ minPart: PART }),
]
after(() => plain[Symbol.asyncDispose]())
after(() => other[Symbol.asyncDispose]())

storeContract('s3', async () => ({
  store: await open(plain),
  cut: () => plain[Symbol.asyncDispose](),
}))

storeContract(
  's3 with a prefix, in a bucket it makes',
  async () => ({ store: await open(other, { prefix: 'glance/here-', create_bucket: true }) }),
  { randomObjects: 5 },
)

suite('an S3 store', async () => {
  const s3 = await openFakeS3({ buckets: ['images'], minPart: PART })
  const store = await open(s3)
  after(() => store[Symbol.asyncDispose]())
  after(() => s3[Symbol.asyncDispose]())
  const askedBy = async (work: () => Promise<unknown>) => {
    const before = s3.asked.length
    await work()
    return s3.asked.slice(before)
  }

  test('sends what fits in one part as one', async () => {
    const asked = await askedBy(() => put(store, 'small', patternOf(PART), PART))
    assert.deepEqual(asked, ['PUT /images/small?x-id=PutObject'])
  })

  test('sends what is larger in parts, and leaves no upload open', async () => {
    const bytes = patternOf(5 * PART + 1)
    const asked = await askedBy(() => put(store, 'large', bytes))
    assert.equal(asked.filter((one) => one.startsWith('PUT')).length, 6)
    assert.deepEqual(s3.uploads('images'), [])
    await using source = await store.open('large')
    assert.ok(bytes.equals(await source.read(0, bytes.length)))
  })

  test('reads on in one answer when reads follow each other', async () => {
    const bytes = patternOf(3 * MiB)
    await put(store, 'read', bytes)
    const asked = await askedBy(async () => {
      await using source = await store.open('read')
      for (let at = 0; at < bytes.length; at += 64 * KiB)
        assert.ok(bytes.subarray(at, at + 64 * KiB).equals(await source.read(at, 64 * KiB)))
    })
    assert.equal(asked.length, 3, 'its size, the first read, all the others')
  })

  test('reads on in one answer when reads are asked for ahead', async () => {
    const bytes = patternOf(2 * MiB)
    await put(store, 'ahead', bytes)
    const asked = await askedBy(async () => {
      await using source = await store.open('ahead')
      const reads = Array.from({ length: 32 }, (_, index) => index * 64 * KiB)
      const found = await Promise.all(reads.map((at) => source.read(at, 64 * KiB)))
      assert.ok(bytes.equals(Buffer.concat(found)))
    })
    assert.equal(asked.length, 3)
  })

  test('tries again when the server is busy, or a content breaks off', async () => {
    const bytes = patternOf(3 * PART)
    s3.trouble.failNext = 2
    await put(store, 'tried', bytes)
    await using source = await store.open('tried')
    s3.trouble.breakNext = 2
    assert.ok(bytes.equals(await source.read(0, bytes.length)))
    s3.trouble.breakNext = 0
    for (let at = 0; at < bytes.length; at += PART) {
      s3.trouble.breakNext = 1
      assert.ok(bytes.subarray(at, at + PART).equals(await source.read(at, PART)))
    }
    s3.trouble.breakNext = 0
  })

  test('says that it is full, and leaves nothing', async () => {
    s3.trouble.quota = 20 * MiB
    const before = s3.objects('images')
    await assert.rejects(put(store, 'too-much', patternOf(21 * MiB)), failsWith('STORE_FULL'))
    s3.trouble.quota = 0
    await assert.rejects(put(store, 'any', patternOf(1)), failsWith('STORE_FULL'))
    s3.trouble.quota = Number.POSITIVE_INFINITY
    assert.deepEqual([s3.objects('images'), s3.uploads('images')], [before, []])
  })

  test('finds and removes what a writer left that was cut off', async () => {
    const key = 'left-behind'
    const writer = await store.create(key)
    await writer.write(0, patternOf(4 * PART + 1))
    const left = (await Array.fromAsync(store.list!())).find((one) => one.key === key)
    assert.equal(left?.finished, false)
    assert.ok(left.size <= 4 * PART)
    await store.remove(key)
    assert.deepEqual(s3.uploads('images'), [])
    await writer.discard()
  })

  test('does not take what another upload of a longer name left', async () => {
    const writer = await store.create('key-longer')
    await writer.write(0, patternOf(2 * PART + 1))
    await store.remove('key')
    assert.deepEqual(s3.uploads('images'), ['key-longer'])
    await writer.discard()
  })

  const wrong = {
    'a wrong secret': [{ secret_key: 'guess' }, 'STORE_DENIED'],
    'an unknown key': [{ access_key: 'nobody' }, 'STORE_DENIED'],
    'a bucket that is not there': [{ bucket: 'nowhere' }, 'STORE_AWAY'],
  } as const
  for (const [what, [options, code]] of Object.entries(wrong))
    test(`fails with ${code} for ${what}`, async () => {
      await using store = await open(s3, options)
      await assert.rejects(put(store, 'x', patternOf(1)), (error) => {
        assert.ok(!JSON.stringify(error).includes('guess'))
        return failsWith(code)(error)
      })
    })

  test('shows no secrets', () => {
    assert.ok(!JSON.stringify([store.properties, store.locate('x')]).includes(s3.secretKey))
    assert.equal(store.locate('x'), `s3+${s3.endpoint}/images/x`)
  })
})
