import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../base/units.ts'
import { openReadImage } from '../remotes/read-image.ts'
import { failsWith } from '../testing/fails-with.ts'
import { startSshd, type Sshd, whyNoSshd } from '../testing/sshd.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { bodyRecord } from '../testing/test-bodies.ts'
import { openTestRecipeRuns } from '../testing/test-recipe-runs.ts'
import { makeTinyImage } from '../testing/tiny-image.ts'
import { openBody } from './body/open-body.ts'
import { READ_LIMIT_MS } from './body/read-packages.ts'
import { fillBody, storeBody } from './body/store-body.ts'
import type { RecipeRunEvent } from './recipe-runs.ts'

const at = await tempDir()
const scene = await openTestRecipeRuns()
after(() => scene[Symbol.asyncDispose]())
const { runs, bodies, ended, logOf, stored } = scene
const { catalog, images, context } = bodies
const { signal } = context
const requester = { owner: 'p-alice', userId: 'alice', requestId: 'req-1' }
await makeTinyImage(at('tiny.raw'))
const notRoot = process.getuid?.() === 0 ? false : 'needs root: the sandbox mounts'

async function storeTiny(): Promise<string> {
  const imageId = context.newId()
  const properties = { os_distro: 'debian', color: 'red' }
  const record = { ...bodyRecord(imageId), properties }
  await storeBody(bodies, { ...record, path: at('tiny.raw'), format: 'raw' })
  await images.change(imageId, () => ({ minRamMiB: 64, tags: ['golden'] }))
  return imageId
}

async function readText(imageId: string, path: string): Promise<string | undefined> {
  await using body = await openBody(bodies, imageId, signal)
  const options = {
    path: 'test',
    source: body.source,
    format: 'raw' as const,
    limitMs: READ_LIMIT_MS,
  }
  await using remote = await openReadImage(options, context)
  const content = await remote.readFile?.(path, MiB)
  return content && Buffer.from(content).toString()
}

const recipe = (...steps: string[]) => ({
  text: `name: greet\narguments: { word: { secret: true, required: true } }\nvalidators:\n${steps.map((step) => `  - ${step}\n`).join('')}`,
})
const greet = recipe('file: { path: /etc/greeting, template: "{{ word }}\\n" }')
const order = { requester, recipe: greet, args: { word: 'a hello' } }

describe('validating an image', () => {
  it('reads it where it stands, and says whether it is as the recipe says', async () => {
    const imageId = await storeTiny()
    const run = await runs.validate({ ...order, imageId })
    assert.equal(run.status, 'pending')
    const done = await ended(run)
    const { status, ok, percent, message, kind } = done
    assert.equal(done.recipe, 'greet')
    assert.deepEqual(
      { status, ok, percent, message, kind },
      {
        status: 'success',
        ok: false,
        percent: 100,
        message: '1 not as the recipe says',
        kind: 'validate',
      },
    )
    const [report] = (await runs.readReports(run.id)) ?? []
    assert.partialDeepStrictEqual(report, {
      ok: false,
      target: { via: 'read' },
      facts: { distro: 'debian' },
    })
    assert.match(await logOf(run), /greeting: differs/)
    const holds = recipe('package: [bash]')
    assert.equal((await ended(await runs.validate({ ...order, recipe: holds, imageId }))).ok, true)
  })

  it('runs commands in a copy where files do not answer', { skip: notRoot }, async () => {
    const imageId = await storeTiny()
    const asks = recipe('command: { run: "touch /x", unless: "echo out of the guest" }')
    const before = await catalog.get(imageId)
    const run = await runs.validate({ ...order, recipe: asks, imageId, trusted: true })
    const done = await ended(run)
    assert.equal(done.status, 'success', await logOf(run))
    assert.deepEqual(await catalog.get(imageId), before)
  })
})

describe('packing an image', () => {
  it(
    'makes a new one, with the properties of the old, which stays',
    { skip: notRoot },
    async () => {
      const imageId = await storeTiny()
      const old = await catalog.get(imageId)
      const args = { word: 'good day' }
      const run = await runs.pack({ ...order, args, imageId, trusted: true, name: 'packed' })
      const done = await ended(run)
      assert.equal(done.status, 'success', await logOf(run))
      assert.equal(done.ok, true)
      const made = await catalog.get(done.newImageId ?? '')
      assert.partialDeepStrictEqual(made, {
        name: 'packed',
        status: 'active',
        owner: 'p-alice',
        diskFormat: 'raw',
        minRamMiB: 64,
        tags: ['golden'],
        properties: { color: 'red', os_distro: 'debian' },
      })
      assert.equal(await readText(made?.id ?? '', '/etc/greeting'), 'good day\n')
      assert.equal(await readText(imageId, '/etc/greeting'), undefined)
      assert.deepEqual(await catalog.get(imageId), old)
      assert.ok(!(await stored()).includes('good day'))
      assert.deepEqual(await scene.leftovers(), [])
    },
  )

  it('makes nothing when a step fails, and keeps the report', { skip: notRoot }, async () => {
    const imageId = await storeTiny()
    const fails = recipe('script: { broken: { inline: "echo why; exit 3" } }')
    const run = await runs.pack({ ...order, recipe: fails, imageId, trusted: true })
    const done = await ended(run)
    assert.equal(done.status, 'failure')
    assert.match(done.message, /^recipe greet: /)
    assert.equal(await catalog.get(done.newImageId ?? ''), undefined)
    const [report] = (await runs.readReports(run.id)) ?? []
    assert.partialDeepStrictEqual(report, { ok: false })
    assert.match(await logOf(run), /why/)
  })

  it('is refused before anything is kept when it cannot be', async () => {
    const imageId = context.newId()
    await assert.rejects(runs.pack({ ...order, imageId }), failsWith('IMAGE_NOT_FOUND'))
    const wrong = { text: 'validators: [{ nothing: {} }]' }
    const active = await storeTiny()
    const unread = runs.pack({ ...order, recipe: wrong, imageId: active })
    await assert.rejects(unread, failsWith('RECIPE_INVALID'))
    const unknown = runs.pack({ ...order, args: { wrod: 'x' }, imageId: active })
    await assert.rejects(unknown, failsWith('ARGUMENT_INVALID'))
    await images.deactivate(active)
    await assert.rejects(runs.pack({ ...order, imageId: active }), failsWith('IMAGE_STATE'))
    const huge = { text: 'validators: []', files: { a: Buffer.alloc(9 * MiB) } }
    const large = runs.pack({ ...order, recipe: huge, imageId: active })
    await assert.rejects(large, failsWith('LIMIT_EXCEEDED'))
  })

  it('fails when the image holds no system, whose disk anything may be', async () => {
    const imageId = context.newId()
    const chunks = (async function* () {
      yield Buffer.alloc(MiB, 1)
    })()
    await fillBody(bodies, bodyRecord(imageId), { stream: chunks, size: MiB })
    const done = await ended(await runs.validate({ ...order, imageId }))
    assert.equal(done.status, 'failure')
    assert.match(done.message, /no file system, so no operating system/)
  })
})

describe('a run', () => {
  it('is found again, listed by owner and kind, and followed by whoever comes late', async () => {
    const imageId = await storeTiny()
    const run = await runs.validate({ ...order, imageId })
    await ended(run)
    assert.equal((await runs.get(run.id)).status, 'success')
    const listed = await runs.list({ owner: 'p-alice', kind: 'validate', limit: 1 })
    assert.deepEqual(
      listed.map(({ id }) => id),
      [run.id],
    )
    assert.deepEqual(await runs.list({ owner: 'p-bob' }), [])
    const events: RecipeRunEvent[] = await Array.fromAsync(runs.follow(run.id, signal, 0))
    assert.equal(events[0]?.kind, 'run')
    assert.ok(events.some(({ kind }) => kind === 'log'))
    for (const ask of [
      runs.get('no'),
      runs.readLog('no'),
      runs.readReports('no'),
      runs.cancel('no'),
    ])
      await assert.rejects(ask, failsWith('TASK_NOT_FOUND'))
  })

  it('is cancelled in the middle of a step', { skip: notRoot }, async () => {
    const imageId = await storeTiny()
    const waits = recipe('command: { run: "true", unless: "echo begun; sleep 600" }')
    const run = await runs.pack({ ...order, recipe: waits, imageId, trusted: true })
    for await (const event of runs.follow(run.id, AbortSignal.timeout(120_000), 0))
      if (event.kind === 'run' && event.run.message.includes('true')) break
    assert.equal(await runs.readReports(run.id), undefined)
    await runs.cancel(run.id)
    const { status, message, newImageId } = await ended(run)
    assert.deepEqual({ status, message }, { status: 'failure', message: 'cancelled' })
    assert.equal(await catalog.get(newImageId ?? ''), undefined)
    assert.deepEqual(await scene.leftovers(), [])
  })
})

describe('provisioning hosts', { skip: whyNoSshd() }, () => {
  let sshd: Sshd
  let login: { privateKey: string; knownHosts: string; user: string; port: number }
  before(async () => {
    sshd = await startSshd({ users: { maria: { sudo: 'free' } } })
    login = {
      privateKey: await readFile(sshd.identityFile, 'utf8'),
      knownHosts: await readFile(sshd.knownHostsFile, 'utf8'),
      user: 'root',
      port: sshd.port,
    }
  })
  after(() => sshd[Symbol.asyncDispose]())

  it('brings a host to the state of the recipe; its key is kept nowhere', async () => {
    const args = { word: 'by the api' }
    const hosts = ['127.0.0.1']
    const run = await runs.provision({ ...order, ...login, args, hosts, user: 'maria', sudo: true })
    assert.ok(!(await stored()).includes('PRIVATE KEY'))
    const done = await ended(run)
    assert.equal(done.status, 'success', await logOf(run))
    assert.deepEqual(done.hosts, hosts)
    assert.equal(await sshd.inside('cat /etc/greeting'), 'by the api\n')
    const [report] = (await runs.readReports(run.id)) ?? []
    assert.partialDeepStrictEqual(report, { ok: true, args: { word: '***' } })
    const all = await stored()
    assert.ok(!all.includes('by the api') && !all.includes('PRIVATE KEY'))
    assert.deepEqual(await scene.leftovers(), [])
    const again = await ended(await runs.validate({ ...order, ...login, args, hosts }))
    assert.equal(again.ok, true)
  })

  it('tells of each host that could not be reached, or is another', async () => {
    const other = login.knownHosts.replace(/ssh-ed25519 \S+/, (key) =>
      key.replace(/.{4}$/, (end) => (end === 'AAAA' ? 'BBBB' : 'AAAA')),
    )
    const hosts = ['127.0.0.1', '127.0.0.1:1']
    const run = await runs.provision({ ...order, ...login, knownHosts: other, hosts })
    const done = await ended(run)
    assert.equal(done.status, 'failure')
    assert.equal(done.message, '2 of 2 targets could not be brought to the state of the recipe')
    const ids = JSON.stringify(await runs.readReports(run.id))
    assert.match(ids, /REMOTE_UNTRUSTED|REMOTE_UNREACHABLE/)
  })

  it('refuses hosts, users and keys that are none', async () => {
    const refused = async (more: object) => {
      const wrong = { ...order, ...login, hosts: ['127.0.0.1'], ...more }
      await assert.rejects(runs.provision(wrong), failsWith('REQUEST_INVALID'))
    }
    await refused({ hosts: [] })
    await refused({ hosts: ['-oProxyCommand=x'] })
    await refused({ hosts: ['a b'] })
    await refused({ hosts: ['::1'] })
    await refused({ user: '-l' })
    await refused({ privateKey: 'secret' })
    await refused({ knownHosts: ' ' })
    const many = Array.from({ length: 101 }, (_, n) => `host-${n}`)
    const large = runs.provision({ ...order, ...login, hosts: many })
    await assert.rejects(large, failsWith('LIMIT_EXCEEDED'))
  })
})
