import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { KiB, MiB } from '../../base/units.ts'
import { openKeystone } from '../../clouds/keystone.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeKeystone } from '../../testing/fake-keystone.ts'
import { type FakeSwift, openFakeSwift } from '../../testing/fake-swift.ts'
import { patternOf, storeContract } from '../../testing/store-contract.ts'
import { openStore } from '../open-store.ts'
import type { Store } from '../store.ts'
import { swiftDriver } from './swift.ts'

const SEGMENT = 256 * KiB
const context = { ...makeContext(), dataDir: '/nowhere' }

async function open(options: object): Promise<Store> {
  const given = { container: 'images', segment_size: SEGMENT, ...options }
  return await openStore({ id: 'far', type: 'swift', options: given }, swiftDriver, context)
}

const byTempAuth = ({ authUrl, user, password }: FakeSwift) => ({
  auth_url: authUrl,
  auth_version: 1,
  username: user,
  password,
})

async function put(store: Store, key: string, bytes: Uint8Array, size?: number): Promise<void> {
  await using writer = await store.create(key, size)
  await writer.write(0, bytes)
  await writer.finish(bytes.length)
}

/** A Swift that believes the tokens of a Keystone, and that Keystone. */
async function openPair() {
  const keystone = await openFakeKeystone()
  keystone.addUser({
    name: 'glance',
    password: 'secret',
    projects: { service: ['admin'] },
    credentials: [{ name: 'robot', secret: 'beep', project: 'service' }],
  })
  const checker = openKeystone({
    authUrl: keystone.url,
    credentials: {
      method: 'password',
      user: { name: 'glance', domain: { name: 'Default' } },
      password: 'secret',
    },
    scope: { project: { name: 'service', domain: { name: 'Default' } } },
  })
  const isGoodToken = async (token: string) => (await checker.validateToken(token)) !== undefined
  const swift = await openFakeSwift({ isGoodToken, pageSize: 3 })
  keystone.addService('object-store', swift.storageUrl, { region: 'north' })
  after(async () => {
    await checker[Symbol.asyncDispose]()
    await swift[Symbol.asyncDispose]()
    await keystone[Symbol.asyncDispose]()
  })
  return { keystone, swift }
}

const byPassword = {
  username: 'glance',
  password: 'secret',
  project_name: 'service',
  region: 'north',
}

const pair = await openPair()
storeContract('swift, by Keystone', async () => ({
  store: await open({ auth_url: pair.keystone.url, ...byPassword }),
  cut: () => pair.swift[Symbol.asyncDispose](),
}))

const nested = await openFakeSwift({ manifestSegments: 3 })
after(() => nested[Symbol.asyncDispose]())
storeContract(
  'swift, by its own auth, with manifests of manifests',
  async () => ({
    store: await open({ ...byTempAuth(nested), segment_size: 1 * MiB, prefix: 'a/b-' }),
  }),
  { randomObjects: 5 },
)

const dynamic = await openFakeSwift({ manifestSegments: 0 })
after(() => dynamic[Symbol.asyncDispose]())
storeContract(
  'swift without static large objects',
  async () => ({ store: await open(byTempAuth(dynamic)) }),
  { randomObjects: 5 },
)

suite('a store in Swift', async () => {
  const swift = await openFakeSwift({ pageSize: 4 })
  const store = await open(byTempAuth(swift))
  after(() => store[Symbol.asyncDispose]())
  after(() => swift[Symbol.asyncDispose]())
  const askedBy = async (work: () => Promise<unknown>) => {
    const before = swift.asked.length
    await work()
    return swift.asked.slice(before)
  }

  test('makes its container when there is none', async () => {
    await put(store, 'first', patternOf(1))
    assert.deepEqual(swift.names('images'), ['first'])
  })

  test('sends what fits in one segment as one object', async () => {
    const asked = await askedBy(() => put(store, 'small', patternOf(SEGMENT)))
    assert.deepEqual(asked, ['PUT /v1/AUTH_test/images/small'])
  })

  test('sends what is larger in segments, and removes them with it', async () => {
    await put(store, 'large', patternOf(9 * SEGMENT + 1))
    const { length } = swift.names('images_segments')
    assert.equal(length, 10)
    await store.remove('large')
    assert.deepEqual(swift.names('images_segments'), [])
  })

  test('gets another token when the one it has ends in the middle', async () => {
    const bytes = patternOf(6 * SEGMENT)
    await using writer = await store.create('renewed')
    await writer.write(0, bytes.subarray(0, 3 * SEGMENT + 1))
    swift.endTokens()
    await writer.write(3 * SEGMENT + 1, bytes.subarray(3 * SEGMENT + 1))
    swift.endTokens()
    await writer.finish(bytes.length)
    await using source = await store.open('renewed')
    swift.endTokens()
    assert.ok(bytes.equals(await source.read(0, bytes.length)))
  })

  test('tries again when Swift cannot, or a content breaks off', async () => {
    const bytes = patternOf(3 * SEGMENT)
    swift.trouble.failNext = 2
    await put(store, 'tried', bytes)
    await using source = await store.open('tried')
    swift.trouble.breakNext = 2
    assert.ok(bytes.equals(await source.read(0, bytes.length)))
  })

  test('says that it is full, and leaves nothing', async () => {
    const before = [swift.names('images'), swift.names('images_segments')]
    swift.trouble.quota = 20 * MiB
    await assert.rejects(put(store, 'too-much', patternOf(21 * MiB)), failsWith('STORE_FULL'))
    swift.trouble.quota = Number.POSITIVE_INFINITY
    assert.deepEqual([swift.names('images'), swift.names('images_segments')], before)
  })

  test('finds and removes what a writer left that was cut off', async () => {
    const writer = await store.create('left-behind')
    await writer.write(0, patternOf(4 * SEGMENT + 1))
    const other = await store.create('left-behind-too')
    await other.write(0, patternOf(4 * SEGMENT + 1))
    const unfinished = async () =>
      (await Array.fromAsync(store.list!())).filter((one) => !one.finished).map(({ key }) => key)
    assert.deepEqual((await unfinished()).toSorted(), ['left-behind', 'left-behind-too'])
    await writer.discard()
    assert.deepEqual(await unfinished(), ['left-behind-too'])
    await other.discard()
  })

  test('fails with STORE_DENIED for a wrong password, and tells nobody', async () => {
    await using store = await open({ ...byTempAuth(swift), password: 'guess me' })
    await assert.rejects(store.open('x'), (error) => {
      assert.ok(!JSON.stringify(error).includes('guess me'))
      return failsWith('STORE_DENIED')(error)
    })
  })
})

suite('a store in Swift, by Keystone', async () => {
  const { keystone } = await openPair()
  const auth = { auth_url: keystone.url }

  test('opens with an application credential', async () => {
    const { credentialIds } = keystone.addUser({
      name: 'other',
      password: 'x',
      projects: { service: ['member'] },
      credentials: [{ name: 'robot', secret: 'beep', project: 'service' }],
    })
    await using store = await open({
      ...auth,
      application_credential_id: credentialIds[0],
      application_credential_secret: 'beep',
    })
    await put(store, 'by-robot', patternOf(10))
  })

  test('says whether it is refused, away, or not in the catalogue', async () => {
    const tried = async (options: object) => {
      await using store = await open({ ...auth, ...byPassword, ...options })
      await store.open('x')
    }
    await assert.rejects(tried({ password: 'guess' }), failsWith('STORE_DENIED'))
    await assert.rejects(tried({ region: 'south' }), failsWith('STORE_AWAY'))
    await assert.rejects(open({ ...auth, container: 'x' }), failsWith('CONFIG_INVALID'))
  })
})
