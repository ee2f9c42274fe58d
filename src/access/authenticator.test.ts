import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import { openAuthenticator } from './authenticator.ts'
import { makePolicy } from './policy.ts'

describe('the way in that the configuration names', () => {
  it('is Keystone, asked by the service’s own user in the project service', async () => {
    await using keystone = await openFakeKeystone()
    keystone.addUser({ name: 'ingot', password: 's3cret', projects: { service: ['service'] } })
    keystone.addUser({ name: 'alice', password: 'x', projects: { blue: ['boss'] } })
    const own = { auth_url: keystone.url, username: 'ingot', password: 's3cret' }
    const policy = makePolicy({ context_is_admin: 'role:boss' })
    await using authenticator = await openAuthenticator(
      { mode: 'keystone', keystone: own },
      policy,
      makeContext(),
    )
    assert.equal(authenticator.challenge, `Keystone uri="${keystone.url}"`)
    const token = keystone.issue('alice', { project: 'blue' })
    const asked = { token, serviceToken: undefined, requestId: 'req-1' }
    const caller = await authenticator.authenticate(asked)
    assert.equal(caller.projectId, keystone.projectId('blue'))
    assert.ok(caller.isAdmin, 'as the policy has it')
  })

  it('is refused when it is Keystone, and nothing says where that is', async () => {
    await assert.rejects(
      openAuthenticator({ mode: 'keystone' }, makePolicy(), makeContext()),
      failsWith('CONFIG_INVALID'),
    )
  })
})
