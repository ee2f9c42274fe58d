import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import type { CloudCredentials, KeystoneOptions } from './cloud.ts'
import { openKeystone } from './keystone.ts'

const clock = { ms: Date.parse('2026-01-01T00:00:00Z') }
const now = () => new Date(clock.ms)
const context = makeContext({ now })
const fake = await openFakeKeystone(now)
after(() => fake[Symbol.asyncDispose]())

const service = fake.addUser({
  name: 'glance',
  password: 'one two',
  projects: { service: ['service', 'admin'] },
  system: ['reader'],
  credentials: [{ name: 'robot', secret: 'beep', project: 'service' }],
})
fake.addUser({ name: 'ann', password: 'x', projects: { demo: ['member'] } })
fake.addService('image', 'http://images.test/', { region: 'north' })
fake.addService('image', 'http://inside.test', { region: 'north', interfaces: ['internal'] })
fake.addService('volumev3', 'http://volumes.test/v3', { region: 'south' })

const user = { name: 'glance', domain: { name: 'Default' } }
const password: CloudCredentials = { method: 'password', user, password: 'one two' }
const scope = { project: { name: 'service', domain: { name: 'Default' } } }

function open(changes: Partial<KeystoneOptions> = {}) {
  const options = { authUrl: fake.url, credentials: password, scope, retryDelayMs: 1, ...changes }
  return openKeystone(options, context)
}

/** What was asked of Keystone while `work` ran. */
async function askedBy(work: () => Promise<unknown>): Promise<string[]> {
  const before = fake.asked.length
  await work()
  return fake.asked.slice(before)
}

suite('a token of our own', () => {
  test('is got once, however many want it, and kept', async () => {
    await using keystone = open()
    const asked = await askedBy(async () => {
      const [one, two] = await Promise.all([keystone.token(), keystone.token()])
      assert.equal(one, two)
      assert.equal(await keystone.token(), one)
    })
    assert.deepEqual(asked, ['POST /v3/auth/tokens'])
  })

  test('is renewed before it ends', async () => {
    await using keystone = open()
    const first = await keystone.token()
    clock.ms += fake.tokenLifeMs - 61_000
    assert.equal(await keystone.token(), first)
    clock.ms += 2_000
    assert.notEqual(await keystone.token(), first)
  })

  test('is another after somebody refused it', async () => {
    await using keystone = open()
    const first = await keystone.token()
    keystone.forgetToken('not this one')
    assert.equal(await keystone.token(), first)
    keystone.forgetToken(first)
    assert.notEqual(await keystone.token(), first)
  })

  const ways: Record<string, () => Partial<KeystoneOptions>> = {
    'a user and a project by name': () => ({}),
    'a user and a project by id': () => ({
      credentials: { ...password, user: { id: service.id } },
      scope: { project: { id: fake.projectId('service') } },
    }),
    'an application credential by id': () => ({
      credentials: {
        method: 'application_credential',
        credential: { id: service.credentialIds[0] ?? '' },
        secret: 'beep',
      },
      scope: undefined,
    }),
    'an application credential by name': () => ({
      credentials: {
        method: 'application_credential',
        credential: { name: 'robot', user },
        secret: 'beep',
      },
      scope: undefined,
    }),
    'another token': () => ({
      credentials: { method: 'token', token: fake.issue('glance') },
    }),
    'an address without its version': () => ({ authUrl: fake.url.replace('/v3', '/') }),
  }
  for (const [way, changes] of Object.entries(ways))
    test(`is got with ${way}`, async () => {
      await using keystone = open(changes())
      const facts = await keystone.facts()
      assert.equal(facts.user.id, service.id)
      assert.equal(facts.project?.name, 'service')
      assert.ok(facts.roles.includes('service'))
    })

  test('is one for the whole system when that is the scope', async () => {
    await using keystone = open({ scope: { system: true } })
    const facts = await keystone.facts()
    assert.deepEqual(
      [facts.isSystemScoped, facts.roles, facts.project],
      [true, ['reader'], undefined],
    )
  })

  test('is refused to a wrong password, which no failure shows', async () => {
    await using keystone = open({ credentials: { ...password, password: 'guess me' } })
    await assert.rejects(keystone.token(), (error) => {
      assert.ok(failsWith('KEYSTONE_DENIED')(error))
      assert.ok(!JSON.stringify([messageOf(error), error]).includes('guess me'))
      return true
    })
  })
})

suite('tokens of others', () => {
  test('say who has them and what they may', async () => {
    await using keystone = open()
    const facts = await keystone.validateToken(fake.issue('ann', { project: 'demo' }))
    assert.equal(facts?.user.name, 'ann')
    assert.deepEqual(facts.user.domain, { id: 'default', name: 'Default' })
    assert.deepEqual(facts.project, {
      id: fake.projectId('demo'),
      name: 'demo',
      domain: { id: 'default', name: 'Default' },
    })
    assert.deepEqual(facts.roles, ['member', 'reader'])
    assert.equal(facts.expiresAt.getTime(), clock.ms + fake.tokenLifeMs)
  })

  test('are nothing when unknown, revoked, ended or absurd', async () => {
    await using keystone = open()
    const revoked = fake.issue('ann', { project: 'demo' })
    fake.revoke(revoked)
    const ended = fake.issue('ann', { project: 'demo' })
    clock.ms += fake.tokenLifeMs
    for (const token of ['unknown', revoked, ended, '', 'a\r\nb: c', 'é', 'x'.repeat(20_000)])
      assert.equal(await keystone.validateToken(token), undefined)
  })

  test('are asked about with a new token when ours was refused, and no more than once', async () => {
    await using keystone = open()
    fake.revoke(await keystone.token())
    const token = fake.issue('ann', { project: 'demo' })
    const asked = await askedBy(() => keystone.validateToken(token))
    assert.deepEqual(asked, ['GET /v3/auth/tokens', 'POST /v3/auth/tokens', 'GET /v3/auth/tokens'])
    fake.tokenLifeMs = -1
    await assert.rejects(async () => {
      keystone.forgetToken(await keystone.token())
      await keystone.validateToken(token)
    }, failsWith('KEYSTONE_DENIED'))
    fake.tokenLifeMs = 3_600_000
  })

  test('cannot be asked about by a user who may not', async () => {
    const ann: CloudCredentials = {
      method: 'password',
      user: { name: 'ann', domain: { id: 'default' } },
      password: 'x',
    }
    await using keystone = open({
      credentials: ann,
      scope: { project: { name: 'demo', domain: { id: 'default' } } },
    })
    await assert.rejects(
      keystone.validateToken(fake.issue('glance', { project: 'service' })),
      failsWith('KEYSTONE_DENIED'),
    )
  })
})

suite('a Keystone that is away', () => {
  for (const away of ['error', 'gone', 'silent'] as const)
    test(`(${away}) is asked some times, then said to be`, async () => {
      await using keystone = open({ retries: 2, timeoutMs: away === 'silent' ? 1000 : 30_000 })
      fake.away = away
      const asked = await askedBy(() =>
        assert.rejects(keystone.validateToken('some'), failsWith('KEYSTONE_AWAY')),
      )
      fake.away = 'no'
      assert.equal(asked.length, 3)
      assert.equal(await keystone.validateToken('some'), undefined, 'and is used when it is back')
    })

  test('is one where nobody listens', async () => {
    const other = await openFakeKeystone()
    await other[Symbol.asyncDispose]()
    await using keystone = open({ authUrl: other.url, retries: 1 })
    await assert.rejects(keystone.token(), failsWith('KEYSTONE_AWAY'))
  })

  test('is waited for no longer when the caller has gone', async () => {
    const caller = new AbortController()
    await using keystone = openKeystone(
      { authUrl: fake.url, credentials: password, scope },
      makeContext({ signal: caller.signal }),
    )
    fake.away = 'silent'
    const asked = keystone.token()
    caller.abort()
    await assert.rejects(asked, failsWith('INTERRUPTED'))
    fake.away = 'no'
  })
})

suite('the catalogue', () => {
  test('gives endpoints by type, older type, interface and region', async () => {
    await using keystone = open()
    assert.equal(await keystone.endpoint({ service: 'image' }), 'http://images.test')
    assert.equal(
      await keystone.endpoint({ service: 'image', interface: 'internal', region: 'north' }),
      'http://inside.test',
    )
    assert.equal(await keystone.endpoint({ service: 'block-storage' }), 'http://volumes.test/v3')
  })

  test('says what there is when something is not', async () => {
    await using keystone = open({ region: 'south' })
    await assert.rejects(keystone.endpoint({ service: 'dns' }), /image, volumev3/)
    await assert.rejects(keystone.endpoint({ service: 'image' }), (error) => {
      assert.match(messageOf(error), /public in north, internal in north/)
      return failsWith('ENDPOINT_UNKNOWN')(error)
    })
  })
})

suite('limits', () => {
  test('are those of the project, else the default ones', async () => {
    fake.setLimit('image', 'image_count_total', 10)
    fake.setLimit('image', 'image_size_total', 1000)
    fake.setLimit('image', 'image_size_total', 5, 'demo')
    await using keystone = open({ scope: { system: true } })
    const of = async (project: string) =>
      Object.fromEntries(
        await keystone.limits({ service: 'image', projectId: fake.projectId(project) }),
      )
    assert.deepEqual(await of('demo'), { image_count_total: 10, image_size_total: 5 })
    assert.deepEqual(await of('other'), { image_count_total: 10, image_size_total: 1000 })
  })
})
