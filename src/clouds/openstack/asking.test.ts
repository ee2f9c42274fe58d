import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../../base/context.ts'
import { isFailure, messageOf } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { type FakeOpenStackOptions, openFakeOpenStack } from '../../testing/fake-openstack.ts'
import { messageIn } from '../refusal-text.ts'
import { isNewer } from './_microversion.ts'
import { openOpenStack } from './open-openstack.ts'

async function openBoth(options: FakeOpenStackOptions = {}, retries = 3) {
  const fake = await openFakeOpenStack(options)
  after(() => fake[Symbol.asyncDispose]())
  const patience = { retries, delayMs: 1 }
  const cloud = openOpenStack({ cloud: fake.cloud, patience }, makeContext())
  after(() => cloud[Symbol.asyncDispose]())
  const askedFor = (line: string) => fake.asked.filter((one) => one === line).length
  return { fake, cloud, askedFor }
}

suite('asking a cloud', () => {
  test('goes on with another token when one is refused in the middle, but only once', async () => {
    const { fake, cloud } = await openBoth()
    await cloud.compute.listFlavors()
    fake.revokeTokens()
    assert.equal((await cloud.compute.listFlavors()).length, 2)
    fake.fail({ on: 'GET', times: 2, status: 401 })
    await assert.rejects(cloud.compute.listFlavors(), failsWith('CLOUD_DENIED'))
  })

  for (const [what, fault] of [
    ['answers 503', { status: 503 }],
    ['answers 500', { status: 500 }],
    ['says that we ask too often', { status: 429, headers: { 'retry-after': '0.01' } }],
    ['cuts the connection', {}],
  ] as const)
    test(`asks again when a service ${what}, a few times`, async () => {
      const { fake, cloud, askedFor } = await openBoth()
      const line = 'GET /compute/v2.1/flavors/detail'
      fake.fail({ on: line, times: 2, ...fault })
      assert.equal((await cloud.compute.listFlavors()).length, 2)
      assert.equal(askedFor(line), 3)
      fake.fail({ on: line, times: 9, ...fault })
      await assert.rejects(
        cloud.compute.listFlavors(),
        failsWith(fault.status === 500 ? 'CLOUD_FAILED' : 'CLOUD_AWAY'),
      )
      assert.equal(askedFor(line), 3 + 4)
    })

  test('ends when it is told to', async () => {
    const { fake, cloud } = await openBoth({}, 1000)
    const stop = new AbortController()
    fake.fail({ on: 'GET', times: 9999, status: 503, onceAsked: () => stop.abort() })
    await assert.rejects(cloud.during(stop.signal).network.listNetworks(), failsWith('INTERRUPTED'))
  })

  test('makes nothing twice: what was made before the answer was lost is found', async () => {
    const { fake, cloud } = await openBoth()
    const networkId = fake.state.networks[0]?.id ?? ''
    for (const fault of [
      { status: 500, done: true },
      { status: 504, done: true },
      { done: true },
    ]) {
      fake.fail({ on: 'POST', ...fault })
      const name = `port-${fake.state.ports.size}`
      const port = await cloud.network.createPort({ name, networkId, mark: 'ingot_build=x' })
      assert.deepEqual([...fake.state.ports.keys()].at(-1), port.id)
    }
    assert.equal(fake.state.ports.size, 3)
  })

  test('makes it again when it was not made', async () => {
    const { fake, cloud } = await openBoth()
    fake.fail({ on: 'POST /network/v2.0/security-groups', times: 2, status: 500 })
    await cloud.network.createSecurityGroup('group', 'ingot_build=x')
    assert.equal(fake.state.groups.size, 1)
  })

  test('does not ask again for what is refused', async () => {
    const { fake, cloud, askedFor } = await openBoth()
    for (const [status, body, code] of [
      [
        403,
        {
          forbidden: {
            message:
              'Quota exceeded for instances: Requested 1, but already used 10 of 10 instances',
          },
        },
        'CLOUD_FULL',
      ],
      [
        409,
        { NeutronError: { message: "Quota exceeded for resources: ['port'].", type: 'OverQuota' } },
        'CLOUD_FULL',
      ],
      [413, { overLimit: { message: 'This request was rate-limited.' } }, 'CLOUD_FULL'],
      [
        403,
        { forbidden: { message: 'Policy does not allow this request to be performed.' } },
        'CLOUD_DENIED',
      ],
      [404, '<html><title>404</title><h1>Not here</h1></html>', 'CLOUD_NOT_FOUND'],
      [400, { badRequest: { message: 'bad\u0000\n'.repeat(1000) } }, 'CLOUD_FAILED'],
    ] as const) {
      const before = askedFor('GET /network/v2.0/networks')
      fake.fail({ on: 'GET /network', status, body })
      await assert.rejects(cloud.network.listNetworks(), (error) => {
        assert.ok(isFailure(error, code), messageOf(error))
        // oxlint-disable-next-line no-control-regex -- none may be in it
        assert.doesNotMatch(error.message, /[\u0000-\u001f]|<|not-shown|gAAAA/)
        return error.message.length < 700
      })
      assert.equal(askedFor('GET /network/v2.0/networks'), before + 1)
    }
  })

  test('says so when a service is not there', async () => {
    const { cloud } = await openBoth()
    assert.equal(await cloud.has('block-storage'), false)
    await assert.rejects(cloud.volume.list(), failsWith('ENDPOINT_UNKNOWN'))
  })

  test('speaks the newest microversion that both know', async () => {
    for (const [theirs, spoken] of [
      ['2.1', '2.1'],
      ['2.60', '2.60'],
      ['2.100', '2.93'],
    ] as const) {
      const { cloud } = await openBoth({ microversion: theirs })
      assert.equal(await cloud.compute.microversion(), spoken)
    }
    assert.ok(isNewer('2.10', '2.9') && !isNewer('2.9', '2.10') && isNewer('3.0', '2.99'))
  })
})

test('whatever an error says, its message is one line and bounded', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const said = messageIn(text)
      assert.ok(said.length <= 500 && !said.includes('\n'))
    }),
  )
})
