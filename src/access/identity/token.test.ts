import assert from 'node:assert/strict'
import { rm, utimes, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { messageOf } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openAuthenticator } from '../authenticator.ts'
import type { Authenticator, Caller } from '../caller.ts'
import { makePolicy } from '../policy.ts'
import { hashToken, makeToken } from './token-hash.ts'

const inDir = await tempDir()
const policy = makePolicy()

interface Entry {
  readonly name: string
  readonly hash: string
  readonly project?: string
  readonly roles?: readonly string[]
  readonly expires?: string
}

let writes = 0

/** JSON is YAML. Each time the file is another minute old, so that it is seen to have changed. */
async function write(file: string, tokens: readonly Entry[]): Promise<void> {
  const whole = tokens.map((entry) => ({ project: 'p', roles: ['member'], ...entry }))
  await writeFile(file, JSON.stringify({ tokens: whole }))
  const time = new Date(Date.UTC(2026, 0, 1, 0, ++writes))
  await utimes(file, time, time)
}

async function identify(
  authenticator: Authenticator,
  token: string | undefined,
  serviceToken?: string,
): Promise<Caller> {
  return await authenticator.authenticate({ token, serviceToken, requestId: 'req-1' })
}

describe('auth: none', () => {
  it('takes everybody for the administrator of one project, and asks for no token', async () => {
    await using authenticator = await openAuthenticator({ mode: 'none' }, policy, makeContext())
    const caller = await identify(authenticator, undefined)
    assert.equal(caller.projectId, 'local')
    assert.ok(caller.isAdmin)
    assert.ok(policy.allows('publicize_image', caller))
  })
})

describe('auth: token', () => {
  it('knows who a token stands for, with the roles that its roles imply', async () => {
    const [alice, boss] = [makeToken(), makeToken()]
    const file = inDir('tokens.yaml')
    await write(file, [
      { name: 'alice', hash: hashToken(alice), project: 'blue', roles: ['Member'] },
      { name: 'boss', hash: hashToken(boss), roles: ['admin'] },
    ])
    await using authenticator = await openAuthenticator(
      { mode: 'token', tokens_file: file },
      policy,
      makeContext(),
    )
    const caller = await identify(authenticator, alice)
    assert.equal(caller.userId, 'alice')
    assert.equal(caller.projectId, 'blue')
    assert.deepEqual(caller.roles, ['member', 'reader'])
    assert.ok(!caller.isAdmin)
    assert.ok((await identify(authenticator, boss)).isAdmin)
    assert.match(authenticator.challenge, /^Token /)
  })

  it('refuses no token, an unknown one, one that has ended, and one that is too long', async () => {
    const now = new Date('2026-06-01T00:00:00Z')
    const [ended, lasting] = [makeToken(), makeToken()]
    const file = inDir('ended.yaml')
    await write(file, [
      { name: 'ended', hash: hashToken(ended), expires: '2026-06-01T00:00:00Z' },
      { name: 'lasting', hash: hashToken(lasting), expires: '2026-06-01T00:00:01Z' },
    ])
    await using authenticator = await openAuthenticator(
      { mode: 'token', tokens_file: file },
      policy,
      makeContext({ now: () => now }),
    )
    assert.equal((await identify(authenticator, lasting)).userId, 'lasting')
    for (const token of [undefined, '', ended, makeToken(), hashToken(lasting), 'x'.repeat(1e6)])
      await assert.rejects(identify(authenticator, token), failsWith('UNAUTHENTICATED'))
  })

  it('takes the roles of a service from a second token, which must be valid too', async () => {
    const [alice, nova] = [makeToken(), makeToken()]
    const file = inDir('service.yaml')
    await write(file, [
      { name: 'alice', hash: hashToken(alice) },
      { name: 'nova', hash: hashToken(nova), roles: ['service'] },
    ])
    await using authenticator = await openAuthenticator(
      { mode: 'token', tokens_file: file },
      policy,
      makeContext(),
    )
    assert.deepEqual((await identify(authenticator, alice, nova)).serviceRoles, ['service'])
    assert.deepEqual((await identify(authenticator, alice)).serviceRoles, [])
    await assert.rejects(identify(authenticator, alice, 'bad'), failsWith('UNAUTHENTICATED'))
  })

  it('reads the file again when it has changed, and keeps what it knew when that has faults', async () => {
    let seconds = 0
    const events: string[] = []
    const log = makeContext().log
    const context = makeContext({
      now: () => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)),
      log: { ...log, info: (event) => events.push(event), error: (event) => events.push(event) },
    })
    const [first, second] = [makeToken(), makeToken()]
    const file = inDir('changing.yaml')
    await write(file, [{ name: 'first', hash: hashToken(first) }])
    await using authenticator = await openAuthenticator(
      { mode: 'token', tokens_file: file },
      policy,
      context,
    )
    await write(file, [{ name: 'second', hash: hashToken(second) }])
    assert.equal((await identify(authenticator, first)).userId, 'first', 'within the second')
    seconds += 2
    assert.equal((await identify(authenticator, second)).userId, 'second')
    await assert.rejects(identify(authenticator, first), failsWith('UNAUTHENTICATED'))
    await write(file, [{ name: 'third', hash: 'no digest' }])
    seconds += 2
    assert.equal((await identify(authenticator, second)).userId, 'second')
    await rm(file)
    seconds += 2
    assert.equal((await identify(authenticator, second)).userId, 'second')
    assert.deepEqual(events, [
      'access.tokens-read',
      'access.tokens-unreadable',
      'access.tokens-unreadable',
    ])
  })

  it('refuses a file with faults when it starts, and shows nothing that could be a token', async () => {
    const token = makeToken()
    const file = inDir('faults.yaml')
    const open = () =>
      openAuthenticator({ mode: 'token', tokens_file: file }, policy, makeContext())
    await assert.rejects(open(), failsWith('FILE_NOT_FOUND'))
    await writeFile(file, `tokens: [{name: a, hash: "${token}`)
    await assert.rejects(open(), failsWith('CONFIG_INVALID'))
    await write(file, [
      { name: 'plain', hash: token },
      { name: 'twice', hash: hashToken(token) },
      { name: 'again', hash: hashToken(token), expires: 'tomorrow' },
    ])
    await assert.rejects(open(), (error) => {
      const message = messageOf(error)
      assert.match(message, /tokens\.0\.hash: wanted sha256: and 64/)
      assert.match(message, /tokens\.2\.hash: the same token stands above/)
      assert.match(message, /tokens\.2\.expires: wanted a date/)
      assert.ok(!message.includes(token) && !message.includes(hashToken(token).slice(7)))
      return failsWith('CONFIG_INVALID')(error)
    })
    await assert.rejects(
      openAuthenticator({ mode: 'token' }, policy, makeContext()),
      failsWith('CONFIG_INVALID'),
    )
  })

  it('makes tokens of 256 random bits', () => {
    const tokens = new Set(Array.from({ length: 100 }, makeToken))
    assert.equal(tokens.size, 100)
    for (const token of tokens) assert.match(token, /^ingot_[\w-]{43}$/)
  })
})
