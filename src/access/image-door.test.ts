import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import type { Caller } from './caller.ts'
import {
  dependsOnMembership,
  guard,
  guardImage,
  type GuardedImage,
  imageTarget,
  isReachable,
} from './image-door.ts'
import { makePolicy } from './policy.ts'

const policy = makePolicy()

function caller(projectId: string | null, ...roles: string[]): Caller {
  const isAdmin = roles.includes('admin')
  return { userId: 'u', projectId, roles, serviceRoles: [], isAdmin, requestId: 'r' }
}

function image(owner: string | null, visibility: string): GuardedImage {
  return {
    id: 'i',
    name: null,
    status: 'active',
    visibility,
    owner,
    protected: false,
    hidden: false,
    checksum: null,
    size: 1,
    virtualSize: 1,
    containerFormat: 'bare',
    diskFormat: 'raw',
    minRamMiB: 0,
    minDiskGiB: 0,
    properties: { os_distro: 'debian' },
  }
}

const reader = caller('p', 'reader')

describe('the door before images', () => {
  it('hides what is neither the caller’s own, nor public or community, nor shared with it', () => {
    assert.ok(isReachable(image('p', 'private'), reader, false))
    assert.ok(isReachable(image('q', 'public'), reader, false))
    assert.ok(isReachable(image('q', 'community'), reader, false))
    assert.ok(isReachable(image('q', 'shared'), reader, true))
    assert.ok(isReachable(image(null, 'private'), reader, false), 'nobody’s image is everybody’s')
    assert.ok(!isReachable(image('q', 'shared'), reader, false))
    assert.ok(!isReachable(image('q', 'private'), reader, true), 'it was shared once')
    assert.ok(!isReachable(image('q', 'private'), caller(null, 'reader'), false))
    assert.ok(isReachable(image('q', 'private'), caller('p', 'admin'), false))
  })

  it('looks memberships up only where they decide', () => {
    assert.ok(dependsOnMembership(image('q', 'shared'), reader))
    for (const [one, who] of [
      [image('p', 'shared'), reader],
      [image(null, 'shared'), reader],
      [image('q', 'public'), reader],
      [image('q', 'shared'), caller('p', 'admin')],
      [image('q', 'shared'), caller(null, 'reader')],
    ] as const)
      assert.ok(!dependsOnMembership(one, who))
  })

  it('cannot be opened wider by a rule, only closed further', () => {
    const open = makePolicy({ get_image: '@' })
    const closed = makePolicy({ get_image: '!' })
    const hidden = failsWith('IMAGE_NOT_FOUND')
    assert.throws(() => guardImage(open, reader, image('q', 'private'), false), hidden)
    guardImage(open, caller('p'), image('q', 'public'), false)
    assert.throws(() => guardImage(closed, reader, image('p', 'private'), false), hidden)
    assert.throws(() => guardImage(policy, caller('p'), image('p', 'private'), false), hidden)
  })

  it('refuses what one may not do with an image that one sees, and hides it from who may not see it', () => {
    const shown = image('q', 'public')
    assert.throws(
      () => guardImage(policy, reader, shown, false, 'delete_image'),
      failsWith('FORBIDDEN'),
    )
    assert.throws(
      () => guardImage(policy, caller('p'), shown, false, 'delete_image'),
      failsWith('IMAGE_NOT_FOUND'),
    )
    guardImage(policy, caller('q', 'member'), shown, false, 'delete_image')
  })

  it('lets a service do what it may with an image that it has no role to see', () => {
    const service = caller('s', 'service')
    guardImage(policy, service, image('q', 'public'), false, 'fetch_image_location')
    assert.throws(
      () => guardImage(policy, service, image('q', 'private'), false, 'fetch_image_location'),
      failsWith('IMAGE_NOT_FOUND'),
    )
  })

  it('tells rules that who reaches somebody else’s shared image is a member of it', () => {
    assert.equal(imageTarget(image('q', 'shared'), reader).member_id, 'p')
    assert.equal(imageTarget(image('p', 'shared'), reader).member_id, null)
    assert.equal(imageTarget(image('q', 'public'), reader).member_id, null)
  })

  it('tells rules every attribute and property of the image', () => {
    const byProperty = makePolicy({ download_image: "'debian':%(os_distro)s and 1:%(size)s" })
    assert.ok(
      byProperty.allows('download_image', reader, imageTarget(image('p', 'public'), reader)),
    )
  })

  it('names the rule that it refuses by', () => {
    const target = imageTarget(image('q', 'public'), reader)
    guard(policy, reader, target, 'get_image')
    assert.throws(
      () => guard(policy, reader, target, 'download_image'),
      (error: Error) => {
        assert.match(error.message, /download_image/)
        return failsWith('FORBIDDEN')(error)
      },
    )
  })
})
