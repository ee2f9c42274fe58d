import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { openKeystone } from '../clouds/keystone.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import { toKeystoneOptions } from './keystone-settings.ts'
import { openKeystoneQuotas, openQuotas } from './open-quotas.ts'

const none = { default: {}, projects: {} }

describe('quotas of the configuration', () => {
  it('are off when there are none', async () => {
    await using quotas = openQuotas({ quotas: none }, makeContext())
    assert.ok(!quotas.active)
    assert.deepEqual(await quotas.limits('p'), {})
  })

  it('of a project come before the default ones', async () => {
    const settings = {
      default: { image_count_total: 10, image_size_total: 1000 },
      projects: { big: { image_count_total: 50 } },
    }
    await using quotas = openQuotas({ quotas: settings }, makeContext())
    assert.ok(quotas.active)
    assert.deepEqual(await quotas.limits('small'), settings.default)
    assert.deepEqual(await quotas.limits('big'), { image_count_total: 50, image_size_total: 1000 })
    assert.deepEqual(await quotas.limits(null), settings.default)
    assert.deepEqual(await quotas.limits('toString'), settings.default)
  })

  it('are refused when they limit what there is not', () => {
    assert.throws(
      () =>
        openQuotas({ quotas: { default: {}, projects: { p: { image_count: 1 } } } }, makeContext()),
      /quotas of p: nothing is called 'image_count'/,
    )
  })

  it('may be reached, not passed; a negative one and a missing one are none', async () => {
    await using quotas = openQuotas({ quotas: none }, makeContext())
    const limits = { image_count_total: 3, image_size_total: -1 }
    quotas.check(limits, 'image_count_total', 2, 1)
    quotas.check(limits, 'image_size_total', 1e9, 1e9)
    quotas.check(limits, 'image_stage_total', 1e9, 1e9)
    assert.throws(
      () => quotas.check(limits, 'image_count_total', 3, 1),
      (error: Error) => {
        assert.match(error.message, /image_count_total may be 3, is 3, and would be 4/)
        return failsWith('QUOTA_EXCEEDED')(error)
      },
    )
  })
})

describe('quotas of Keystone', () => {
  it('are a project’s own limits, else the registered ones, and are asked again after a moment', async () => {
    let now = Date.UTC(2026, 0, 1)
    const context = makeContext({ now: () => new Date(now) })
    await using keystone = await openFakeKeystone(context.now)
    keystone.addUser({
      name: 'ingot',
      password: 's3cret',
      projects: { service: ['service'] },
      system: ['reader'],
    })
    keystone.addService('image', 'http://127.0.0.1:9292')
    keystone.setLimit('image', 'image_count_total', 10)
    keystone.setLimit('image', 'image_size_total', -1)
    keystone.setLimit('image', 'image_count_total', 20, 'blue')
    const settings = { auth_url: keystone.url, username: 'ingot', password: 's3cret' }
    const options = { ...toKeystoneOptions(settings, 'system'), retryDelayMs: 1 }
    await using quotas = openKeystoneQuotas(
      openKeystone(options, context),
      { cache_s: 60 },
      context,
    )
    const [blue, red] = [keystone.projectId('blue'), keystone.projectId('red')]

    assert.ok(quotas.active)
    assert.deepEqual(await quotas.limits(blue), { image_count_total: 20, image_size_total: -1 })
    assert.deepEqual(await quotas.limits(red), { image_count_total: 10, image_size_total: -1 })
    assert.deepEqual(await quotas.limits(null), {})

    keystone.setLimit('image', 'image_count_total', 30, 'blue')
    const questions = keystone.asked.length
    assert.equal((await quotas.limits(blue)).image_count_total, 20)
    assert.equal(keystone.asked.length, questions, 'fresh ones are not asked for')
    now += 11_000
    const many = await Promise.all(Array.from({ length: 20 }, () => quotas.limits(blue)))
    assert.ok(many.every((limits) => limits.image_count_total === 30))
    assert.equal(keystone.asked.length, questions + 2, 'once: the default ones, and its own')

    keystone.away = 'error'
    now += 11_000
    assert.equal((await quotas.limits(blue)).image_count_total, 30, 'as they were last')
    await assert.rejects(quotas.limits(keystone.projectId('new')), failsWith('KEYSTONE_AWAY'))
    now += 60_000
    await assert.rejects(quotas.limits(blue), failsWith('KEYSTONE_AWAY'))
  })

  it('are taken when the configuration says so, in place of its own', async () => {
    const keystone = {
      auth_url: 'http://127.0.0.1:9/v3',
      username: 'u',
      password: 'p',
      limits: true,
    }
    await using quotas = openQuotas({ quotas: none, keystone }, makeContext())
    assert.ok(quotas.active)
  })
})
