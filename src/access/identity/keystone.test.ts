import assert from 'node:assert/strict'
import { after, beforeEach, describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { openKeystone } from '../../clouds/keystone.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { type FakeKeystone, openFakeKeystone } from '../../testing/fake-keystone.ts'
import type { Authenticator, Caller } from '../caller.ts'
import { toKeystoneOptions } from '../keystone-settings.ts'
import { makePolicy } from '../policy.ts'
import { openKeystoneAuthenticator } from './keystone.ts'

const MINUTE = 60_000
let now = Date.UTC(2026, 0, 1)
const warnings: object[] = []
const context = makeContext({
  now: () => new Date(now),
  log: { ...makeContext().log, warn: (event, fields) => warnings.push({ event, ...fields }) },
})

let keystone: FakeKeystone
let authenticator: Authenticator
const opened: AsyncDisposable[] = []
after(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]()
})

beforeEach(async () => {
  keystone = await openFakeKeystone(context.now)
  keystone.addUser({ name: 'ingot', password: 's3cret', projects: { service: ['service'] } })
  keystone.addUser({ name: 'nova', password: 'x', projects: { service: ['service'] } })
  keystone.addUser({ name: 'cinder', password: 'x', projects: { service: ['admin'] } })
  keystone.addUser({
    name: 'alice',
    password: 'x',
    projects: { blue: ['member'] },
    system: ['admin'],
  })
  const settings = { auth_url: keystone.url, username: 'ingot', password: 's3cret' }
  const options = { ...toKeystoneOptions(settings, 'project'), retryDelayMs: 1 }
  authenticator = openKeystoneAuthenticator(
    openKeystone(options, context),
    { authUri: 'https://keystone.example/v3', cacheMs: 5 * MINUTE, serviceRoles: ['Service'] },
    makePolicy(),
    context,
  )
  opened.push(authenticator, keystone)
  warnings.length = 0
})

async function identify(token: string | undefined, serviceToken?: string): Promise<Caller> {
  return await authenticator.authenticate({ token, serviceToken, requestId: 'req-1' })
}

/** How often Keystone was asked about tokens of others. */
function questions(): number {
  return keystone.asked.filter((route) => route === 'GET /v3/auth/tokens').length
}

describe('auth: keystone', () => {
  it('takes user, project, domains and roles from the token', async () => {
    const caller = await identify(keystone.issue('alice', { project: 'blue' }))
    assert.equal(caller.projectId, keystone.projectId('blue'))
    assert.deepEqual([...caller.roles].toSorted(), ['member', 'reader'])
    assert.equal(caller.projectDomainId, 'default')
    assert.equal(caller.userDomainId, 'default')
    assert.equal(caller.isSystemScoped, false)
    assert.ok(!caller.isAdmin)
  })

  it('knows administrators, and tokens for the whole system, which have no project', async () => {
    const caller = await identify(keystone.issue('alice', { system: true }))
    assert.ok(caller.isAdmin)
    assert.equal(caller.isSystemScoped, true)
    assert.equal(caller.projectId, null)
  })

  it('gives a token of no scope no roles', async () => {
    const caller = await identify(keystone.issue('alice'))
    assert.deepEqual(caller.roles, [])
    assert.equal(caller.projectId, null)
  })

  it('refuses no token, an unknown one, and one that no Keystone could have issued', async () => {
    for (const token of [undefined, '', 'gAAAAunknown', 'a\nb', 'x'.repeat(100_000)])
      await assert.rejects(identify(token), failsWith('UNAUTHENTICATED'))
    assert.equal(questions(), 1, 'only what might be a token is asked about')
    assert.equal(authenticator.challenge, 'Keystone uri="https://keystone.example/v3"')
  })

  it('believes a valid token for a while, then asks again', async () => {
    const token = keystone.issue('alice', { project: 'blue' })
    const first = await identify(token)
    const again = authenticator.authenticate({ token, serviceToken: undefined, requestId: 'req-2' })
    assert.ok(!(again instanceof Promise), 'known ones are told at once')
    assert.equal(again.userId, first.userId)
    assert.equal(again.requestId, 'req-2')
    assert.equal(questions(), 1)
    keystone.revoke(token)
    assert.equal((await identify(token)).userId, first.userId)
    now += 5 * MINUTE
    await assert.rejects(identify(token), failsWith('UNAUTHENTICATED'))
  })

  it('believes no token beyond its end', async () => {
    keystone.tokenLifeMs = MINUTE
    const token = keystone.issue('alice', { project: 'blue' })
    await identify(token)
    now += MINUTE
    await assert.rejects(identify(token), failsWith('UNAUTHENTICATED'))
  })

  it('asks once when many bring the same unknown token, and not again for a moment', async () => {
    const token = keystone.issue('alice', { project: 'blue' })
    await Promise.all(Array.from({ length: 50 }, () => identify(token)))
    assert.equal(questions(), 1)
    const guesses = Array.from({ length: 20 }, () => identify('gAAAAguess'))
    for (const guess of guesses) await assert.rejects(guess, failsWith('UNAUTHENTICATED'))
    await assert.rejects(identify('gAAAAguess'), failsWith('UNAUTHENTICATED'))
    assert.equal(questions(), 2)
    now += 11_000
    await assert.rejects(identify('gAAAAguess'), failsWith('UNAUTHENTICATED'))
    assert.equal(questions(), 3)
  })

  it('never takes its silence for a yes; whom it has vouched for may go on', async () => {
    const known = keystone.issue('alice', { project: 'blue' })
    const fresh = keystone.issue('alice', { project: 'blue' })
    await identify(known)
    for (const away of ['error', 'gone'] as const) {
      keystone.away = away
      await assert.rejects(identify(fresh), failsWith('KEYSTONE_AWAY'))
      assert.ok(await identify(known))
    }
    now += 5 * MINUTE
    await assert.rejects(identify(known), failsWith('KEYSTONE_AWAY'))
    keystone.away = 'no'
    assert.ok(await identify(known))
    assert.ok(await identify(fresh), 'that it was away is not remembered')
  })

  it('lets a service go on with work for somebody whose token has ended', async () => {
    keystone.tokenLifeMs = MINUTE
    const alice = keystone.issue('alice', { project: 'blue' })
    keystone.tokenLifeMs = 60 * MINUTE
    const nova = keystone.issue('nova', { project: 'service' })
    now += 2 * MINUTE
    await assert.rejects(identify(alice), failsWith('UNAUTHENTICATED'))
    const caller = await identify(alice, nova)
    assert.equal(caller.projectId, keystone.projectId('blue'))
    assert.deepEqual(caller.serviceRoles, ['service'])
    await assert.rejects(identify(alice), failsWith('UNAUTHENTICATED'), 'alone it has ended still')
  })

  it('takes a service token without a role of services for none, and says so in the log', async () => {
    const alice = keystone.issue('alice', { project: 'blue' })
    const cinder = keystone.issue('cinder', { project: 'service' })
    assert.deepEqual((await identify(alice, cinder)).serviceRoles, [])
    assert.equal(warnings.length, 1)
    keystone.revoke(alice)
    now += 5 * MINUTE
    await assert.rejects(identify(alice, cinder), failsWith('UNAUTHENTICATED'))
  })

  it('refuses a service token that is not valid', async () => {
    const alice = keystone.issue('alice', { project: 'blue' })
    await assert.rejects(identify(alice, 'gAAAAbad'), failsWith('UNAUTHENTICATED'))
  })

  it('says that Keystone refuses the service itself, which is nobody’s yes either', async () => {
    const settings = { auth_url: keystone.url, username: 'ingot', password: 'wrong' }
    await using refused = openKeystoneAuthenticator(
      openKeystone({ ...toKeystoneOptions(settings, 'project'), retryDelayMs: 1 }, context),
      { authUri: keystone.url, cacheMs: MINUTE, serviceRoles: [] },
      makePolicy(),
      context,
    )
    const token = keystone.issue('alice', { project: 'blue' })
    const asked = refused.authenticate({ token, serviceToken: undefined, requestId: 'r' })
    await assert.rejects(async () => await asked, failsWith('KEYSTONE_DENIED'))
  })
})
