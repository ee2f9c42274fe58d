import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { type Sshd, startSshd, whyNoSshd } from '../testing/sshd.ts'
import { BootWatch } from './_boot-watch.ts'
import { makeOneTimeKey, runInGuest } from './_guest-login.ts'
import { type Underway, visitGuest } from './_log-in.ts'
import type { GuestConnection } from './boot-report.ts'

/** A host stands in for the guest: what is asked of a guest, any host can answer. */
describe('logging in to a guest', { skip: whyNoSshd(), timeout: 300_000 }, () => {
  let host: Sshd
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-login-test-'))
    host = await startSshd()
  })
  after(async () => {
    await host[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  const context = makeContext()
  const guest = (parts: Partial<GuestConnection> = {}): GuestConnection => ({
    host: '127.0.0.1',
    port: host.port,
    user: 'root',
    keyFile: host.identityFile,
    knownHosts: join(directory, 'known_hosts'),
    ...parts,
  })
  const underway = (connection: GuestConnection, console: string): Underway => {
    const watch = new BootWatch({})
    watch.print(Buffer.from(console))
    const pace = { bootMs: 30_000, quietMs: 100, attemptMs: 10_000, patienceMs: 0 }
    return { watch, connection, pace, context }
  }
  const UP = '[    0.0] Linux version 6.1.0\ndebian login: '

  test('with the right key a script runs, and its output comes back', async () => {
    const said = await runInGuest(guest(), 'echo "$0 is here"', 20_000, context.signal)
    assert.deepEqual(said, { outcome: 'logged-in', stdout: 'sh is here\n' })
  })

  test('a wrong key is refused, a closed port does not answer', async () => {
    const { keyFile, publicKey } = await makeOneTimeKey(directory)
    assert.match(publicKey, /^ssh-ed25519 \S+ ingot-boot-test$/)
    const refused = await runInGuest(guest({ keyFile }), 'true', 20_000, context.signal)
    assert.equal(refused.outcome, 'refused')
    const silent = await runInGuest(guest({ port: 1 }), 'true', 20_000, context.signal)
    assert.equal(silent.outcome, 'no-answer')
  })

  test('a guest that is up is asked how its boot went', async () => {
    const test = underway(guest(), UP)
    const { login, answers } = await visitGuest(test)
    assert.equal(login?.outcome, 'logged-in')
    assert.ok((answers?.rootSize ?? 0) > 0)
    assert.ok(test.watch.timeline.has('logged-in'))
  })

  test('a guest that is silent on its console is tried all the same', async () => {
    const { answers } = await visitGuest(underway(guest(), ''))
    assert.ok(answers)
  })

  test('a guest that has done all it does is not asked again and again', async () => {
    const { keyFile } = await makeOneTimeKey(await mkdtemp(join(directory, 'key-')))
    const { login, answers } = await visitGuest(underway(guest({ keyFile }), UP))
    assert.deepEqual([login?.outcome, answers], ['refused', undefined])
  })

  test('a guest that has given up is not tried', async () => {
    const panic = '[    1.0] Kernel panic - not syncing: dead\n'
    assert.deepEqual(await visitGuest(underway(guest(), UP + panic)), {
      login: undefined,
      answers: undefined,
    })
  })

  test('an interrupted test says so', async () => {
    const signal = AbortSignal.abort()
    const test = { ...underway(guest(), UP), context: makeContext({ signal }) }
    await assert.rejects(visitGuest(test), failsWith('INTERRUPTED'))
  })
})
