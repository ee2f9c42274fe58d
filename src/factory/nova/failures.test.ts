import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { after, suite, test } from 'node:test'
import { type FailureCode, isFailure } from '../../base/failure.ts'
import { addSnapshot } from '../../testing/_fake-glance.ts'
import { failsWith } from '../../testing/fails-with.ts'
import type { FakeOpenStack } from '../../testing/fake-openstack.ts'
import { openNovaScene } from '../../testing/nova-scene.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { templateOf } from '../../testing/template-of.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { type TestBuild, buildJob } from '../../testing/build-job.ts'
import type { NovaOptions } from './nova-options.ts'

const at = await tempDir()
let builds = 0

async function start(options: NovaOptions, build: Partial<TestBuild<NovaOptions>> = {}) {
  const scene = await openNovaScene()
  after(() => scene[Symbol.asyncDispose]())
  const workDir = at(String(++builds))
  await mkdir(workDir)
  const given = { source_image: 'debian-12', ...options }
  const { job, written } = buildJob({ options: given, workDir, ...build })
  return { ...scene, job, written, run: async () => await scene.builder.build(job) }
}

suite('a build that a cloud cannot do', () => {
  const cases: Readonly<
    Record<string, [NovaOptions, (fake: FakeOpenStack) => void, FailureCode, RegExp]>
  > = {
    'names no flavor of it': [
      { flavor: 'huge' },
      () => {},
      'CLOUD_NOT_FOUND',
      /no flavor 'huge': there are tiny, small/,
    ],
    'names no network of it': [
      { network: 'x' },
      () => {},
      'CLOUD_NOT_FOUND',
      /no network 'x': there are private, provider/,
    ],
    'names no image of it': [
      { source_image: 'x' },
      () => {},
      'CLOUD_NOT_FOUND',
      /no image 'x': there are debian-12/,
    ],
    'names no zone of it': [
      { availability_zone: 'x' },
      () => {},
      'CLOUD_NOT_FOUND',
      /there are nova/,
    ],
    'names no group of it': [
      { security_group: 'x' },
      () => {},
      'CLOUD_NOT_FOUND',
      /there are default/,
    ],
    'leaves open which network': [
      {},
      ({ state }) =>
        void state.networks.push({ id: 'n', name: 'more', external: false, shared: false }),
      'CLOUD_NOT_FOUND',
      /the one to use: there are private, provider, more/,
    ],
    'has no room for the image': [
      {},
      ({ state }) => void state.flavors.splice(0),
      'CLOUD_NOT_FOUND',
      /there is none/,
    ],
    'wants volumes, where there are none': [
      { boot_from_volume: true },
      () => {},
      'CLOUD_FAILED',
      /no volume service/,
    ],
    'is over the quota': [
      {},
      (fake) =>
        fake.fail({
          on: 'POST /compute/v2.1/servers',
          status: 403,
          body: { forbidden: { message: 'Quota exceeded for cores: Requested 1' } },
        }),
      'CLOUD_FULL',
      /Quota exceeded for cores/,
    ],
    'finds no host': [
      {},
      ({ state }) =>
        void (state.becomes = { guest: { status: 'ERROR', fault: 'No valid host was found. ' } }),
      'CLOUD_FULL',
      /No valid host was found/,
    ],
    'has an instance that fails': [
      {},
      ({ state }) =>
        void (state.becomes = { guest: { status: 'ERROR', fault: 'Image is corrupt' } }),
      'CLOUD_FAILED',
      /Image is corrupt/,
    ],
    'is denied': [
      {},
      (fake) => fake.fail({ on: 'GET /network', status: 403 }),
      'CLOUD_DENIED',
      /403/,
    ],
    'meets a service that stays away': [
      {},
      (fake) => fake.fail({ on: 'POST /network', times: 99, status: 503 }),
      'CLOUD_AWAY',
      /503/,
    ],
    'has an installer whose kernel panics': [
      { installer_image: 'debian-12' },
      ({ state }) => void (state.console = 'Kernel panic - not syncing: VFS\n'),
      'INSTALL_FAILED',
      /panic/,
    ],
  }
  for (const [what, [options, prepare, code, message]] of Object.entries(cases))
    test(`because it ${what}, says so, and leaves nothing`, async () => {
      const isInstall = options.installer_image !== undefined
      // A clock that runs fast: what is waited for takes no time.
      let time = Date.parse('2026-01-01')
      const { fake, job, written, builder, clearContext } = await start({})
      const given = isInstall ? options : { source_image: 'debian-12', ...options }
      prepare(fake)
      const context = { ...job.context, now: () => new Date((time += 60_000)) }
      const running = builder.build(Object.assign(job, { options: given, context }))
      await assert.rejects(running, (error) => {
        assert.ok(isFailure(error, code), String(error))
        assert.match(error.message, message)
        return true
      })
      fake.fail({ on: 'none' })
      assert.deepEqual(await builder.clear?.(written.held, clearContext()), [])
      assert.deepEqual(fake.leftovers(), [])
    })

  test('fails when the phase lasts too long', async () => {
    const { fake, run, written, builder, clearContext, job } = await start({})
    fake.state.becomes = { guest: { status: 'BUILD' } }
    const { phase } = job
    job.phase = async (given, work) => await phase({ ...given, timeoutMs: 300 }, work)
    await assert.rejects(run(), failsWith('PHASE_TIMEOUT'))
    await builder.clear?.(written.held, clearContext())
    assert.deepEqual(fake.leftovers(), [])
  })
})

const kindOf = (thing: unknown) => (thing as { kind: string }).kind
const die = () => Promise.reject(new Error('the process dies'))
/** The process dies when a thing of this kind is noted, and nothing more is done. */
const diesAt =
  (kind: string): NonNullable<TestBuild<NovaOptions>['onNote']> =>
  (thing, written) => {
    if (kindOf(thing) !== kind) return
    written.held.push(thing)
    throw new Error('the process dies')
  }

suite('what a build has in a cloud', () => {
  const kinds = ['keypair', 'security-group', 'port', 'server'] as const
  for (const kind of kinds) {
    test(`is noted before it is made: a ${kind} that was never made is no trouble`, async () => {
      const { fake, run, written, builder, clearContext } = await start(
        {},
        { onNote: diesAt(kind) },
      )
      await assert.rejects(run(), /the process dies/)
      assert.deepEqual(await builder.clear?.(written.held, clearContext({ why: 'again' })), [])
      assert.deepEqual(fake.leftovers(), [])
    })

    test(`is found without its id: a ${kind} that was made before the process died`, async () => {
      const { fake, run, written, builder, clearContext, job } = await start({})
      const add = job.holdings.add
      job.holdings.add = async (thing) => {
        const holding = await add(thing)
        const dies = kindOf(thing) === kind
        return dies ? { ...holding, update: die } : holding
      }
      await assert.rejects(run(), /the process dies/)
      assert.ok(
        fake.leftovers().some((one) => one.startsWith(kind)),
        String(fake.leftovers()),
      )
      assert.deepEqual(await builder.clear?.(written.held, clearContext()), [])
      assert.deepEqual(fake.leftovers(), [])
    })
  }

  test('is found by its marks when no ledger knows of it; what others have stays', async () => {
    const { fake, builder, run, written, clearContext, job } = await start({})
    fake.state.becomes = { guest: { status: 'ERROR' } }
    fake.state.keypairs.set('ingot-of-mine', 'ssh-ed25519 AAAA')
    await assert.rejects(run(), failsWith('CLOUD_FAILED'))
    const found = (await builder.discover?.(clearContext())) ?? []
    assert.deepEqual(found.map(({ thing }) => kindOf(thing)).toSorted(), [...kinds].toSorted())
    assert.ok(found.every(({ imageId }) => imageId === job.image.id))
    assert.equal(written.held.length, found.length)
    assert.deepEqual(
      await builder.clear?.(
        found.map(({ thing }) => thing),
        clearContext(),
      ),
      [],
    )
    assert.deepEqual(fake.leftovers(), ['keypair ingot-of-mine'])
  })

  test('is found by its name when a volume was read into it, and it has no mark yet', async () => {
    const { fake, builder, clearContext, job } = await start({})
    const imageId = job.image.id
    const name = `ingot-${imageId}-1-image`
    const id = addSnapshot(fake.state, name, {})
    const found = (await builder.discover?.(clearContext())) ?? []
    assert.deepEqual(
      found.map(({ thing }) => thing),
      [{ kind: 'image', cloud: null, imageId, name, id }],
    )
    const noted = { kind: 'image', cloud: null, imageId, name }
    assert.deepEqual(await builder.clear?.([noted], clearContext()), [])
    assert.ok(!fake.state.images.has(id))
  })

  test('that cannot be removed is told of, and stays noted; the rest goes', async () => {
    const { fake, builder, run, written, clearContext } = await start({})
    fake.state.becomes = { guest: { status: 'ERROR' } }
    await assert.rejects(run(), failsWith('CLOUD_FAILED'))
    fake.fail({ on: 'DELETE /compute/v2.1/os-keypairs', times: 99, status: 403 })
    const context = clearContext()
    const left = (await builder.clear?.([...written.held, 'nonsense'], context)) ?? []
    assert.match(JSON.stringify(left), /^\["nonsense",\{"kind":"keypair"[^}]*\}\]$/)
    assert.match(context.told.join('\n'), /left in the cloud: keypair/)
    assert.equal(fake.leftovers().length, 1)
  })
})

const sums = (text: string) => `${createHash('sha256').update(text).digest('hex')}  a.iso\n`

suite('an ISO that a template names', () => {
  const content = 'an ISO'
  const pages: Record<string, string> = { '/a.iso': content }

  test('is made an image only if it has the checksum that the template wants', async () => {
    await using web = await openWebServer({
      '/a.iso': (_request, response) => void response.end(content),
      '/sums': (_request, response) => void response.end(pages['/sums']),
    })
    const source = {
      type: 'iso',
      url: `${web.url}/a.iso`,
      checksum: { algorithm: 'sha256', url: `${web.url}/sums` },
      extras: [],
    } as const
    const rest = { diskSize: 1, rootPassword: null, productKey: null, kernelParameters: null }
    const template = templateOf(undefined, { install: { source, ...rest } })
    for (const [text, code] of [
      [content, 'CLOUD_FAILED'],
      ['another', 'DIGEST_MISMATCH'],
    ] as const) {
      pages['/sums'] = sums(text)
      await using scene = await openNovaScene({ volumes: true })
      scene.fake.state.importMethods.push('web-download')
      scene.fake.state.becomes = { install: { status: 'ERROR' } }
      const { job } = buildJob<NovaOptions>({ options: {}, workDir: at('iso'), template })
      await assert.rejects(scene.builder.build(job), failsWith(code))
      const { state } = scene.fake
      const brought = [...state.images.values()].find(
        ({ fields }) => fields['disk_format'] === 'iso',
      )
      assert.equal(brought?.status, code === 'CLOUD_FAILED' ? 'active' : 'queued')
    }
  })
})

suite('a template', () => {
  test('is refused when nothing says what to begin with', async () => {
    const { builder } = await start({})
    const template = templateOf()
    assert.match(builder.refuses?.(template, {}) ?? '', /source_image/)
    assert.equal(builder.refuses?.(template, { source_image: 'x' }), undefined)
    assert.match(
      builder.refuses?.(template, { source_image: 'x', installer_iso: 'y' }) ?? '',
      /one of/,
    )
    assert.match(
      builder.refuses?.(template, { source_image: 'x', keypair: 'y' }) ?? '',
      /go together/,
    )
    const source = { type: 'iso', url: 'http://x.test/a.iso', extras: [] } as const
    const install = {
      source,
      diskSize: 1,
      rootPassword: null,
      productKey: null,
      kernelParameters: null,
    }
    assert.equal(builder.refuses?.(templateOf(undefined, { install }), {}), undefined)
  })
})
