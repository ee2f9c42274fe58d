import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import { findProgram } from '../base/process.ts'
import { fenceUplinks, findFenceTrouble } from '../remotes/fenced-uplink.ts'
import type { OpenUplink } from '../remotes/uplink.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { type AptRepository, openAptRepository } from '../testing/apt-repository.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type RemoteScript } from '../testing/scripted-remote.ts'
import { parseControl } from './control-file.ts'
import { fetchPackages, installFetched, parsePlan } from './fetch-packages.ts'

const missing = ['apt-get', 'gpgv', 'flock', 'gpg', 'dpkg-deb'].filter(
  (name) => findProgram(name) === undefined,
)
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false

const directory = await mkdtemp(join(tmpdir(), 'ingot-fetch-test-'))
after(() => rm(directory, { recursive: true, force: true }))

const STATUS = `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22
Description: x

Package: already
Status: install ok installed
Architecture: amd64
Version: 1.0
Description: x
`

/** A guest with these sources, and a cache that nobody used. */
async function open(sources: string, more: RemoteScript = {}, uplink?: OpenUplink) {
  const cacheDir = await mkdtemp(join(directory, 'cache-'))
  const clock = { now: new Date('2026-01-01T00:00:00Z') }
  const context = makeContext({ now: () => clock.now })
  const script = makeScriptedRemote({
    ...more,
    files: {
      '/var/lib/dpkg/status': STATUS,
      '/etc/apt/sources.list': sources,
      ...more.files,
    },
  })
  const options = { timeoutMs: 60_000, onOutput: () => {}, context, cacheDir }
  const driver = { ...script.driver, ...(uplink && { uplink }) }
  return { ...script, remote: openRemote(driver, context), options, clock }
}

const app = { name: 'app', version: '2:1.0~beta1-3', depends: 'library (>= 1), already' }
const library = { name: 'library', version: '1.5' }
const trusted = ({ url }: AptRepository) => `deb [trusted=yes] ${url} ./\n`

describe('packages fetched by this host', { skip }, () => {
  it('come only from mirrors that the guest itself may reach', async (t) => {
    const trouble = await findFenceTrouble([], makeContext())
    if (trouble !== undefined) return t.skip(trouble)
    await using repository = await openAptRepository([library])
    const nowhere = await open(
      trusted(repository),
      {},
      fenceUplinks(async () => []),
    )
    await assert.rejects(
      fetchPackages(nowhere.remote, [{ name: 'library' }], nowhere.options),
      failsWith('DOWNLOAD_FAILED'),
    )
    const there = await open(
      trusted(repository),
      {},
      fenceUplinks(async () => [repository.url]),
    )
    const fetched = await fetchPackages(there.remote, [{ name: 'library' }], there.options)
    assert.equal(fetched?.files.length, 1)
  })

  it('come with what they need and the guest does not have, in the order dpkg wants', async () => {
    await using repository = await openAptRepository([app, library, { name: 'already' }])
    const { remote, options, changes } = await open(trusted(repository))
    const fetched = await fetchPackages(remote, [{ name: 'app' }], options)
    assert.deepEqual(
      fetched?.files.map(({ name }) => name),
      ['library_1.5_amd64.deb', 'app_2%3a1.0~beta1-3_amd64.deb'],
    )
    assert.ok(fetched.files.every(({ path, size }) => existsSync(path) && size > 0))
    assert.deepEqual(fetched.steps, [
      { action: 'unpack', packages: ['library', 'app'] },
      { action: 'configure', packages: ['library', 'app'] },
    ])
    assert.deepEqual(
      fetched.automatic.map(({ name, architecture }) => [name, architecture]),
      [['library', 'amd64']],
    )
    assert.deepEqual(changes(), [])
  })

  it('are fetched once, and their lists again only after an hour', async () => {
    await using repository = await openAptRepository([app, library])
    const { remote, options, clock } = await open(trusted(repository))
    await fetchPackages(remote, [{ name: 'app' }], options)
    const first = repository.requests.length
    await fetchPackages(remote, [{ name: 'app' }], options)
    assert.equal(repository.requests.length, first)
    clock.now = new Date(clock.now.getTime() + 3_700_000)
    await fetchPackages(remote, [{ name: 'app' }], options)
    assert.ok(repository.requests.length > first)
    assert.equal(repository.requests.filter((path) => path.endsWith('.deb')).length, 2)
  })

  it('leave nothing but the cache behind', async () => {
    await using repository = await openAptRepository([library])
    const { remote, options } = await open(trusted(repository))
    await fetchPackages(remote, [{ name: 'library' }], options)
    const homes = await readdir(join(options.cacheDir, 'apt'))
    assert.equal(homes.length, 1)
    const names = await readdir(join(options.cacheDir, 'apt', homes[0] ?? ''))
    assert.deepEqual(
      names.filter((name) => name.startsWith('.')),
      [],
    )
  })

  it('are not shared between guests that trust different mirrors or keys', async () => {
    await using repository = await openAptRepository([library])
    const one = await open(trusted(repository))
    await fetchPackages(one.remote, [{ name: 'library' }], one.options)
    const other = await open(`${trusted(repository)}deb ${repository.url} other/\n`)
    const options = { ...other.options, cacheDir: one.options.cacheDir }
    await fetchPackages(other.remote, [{ name: 'library' }], options).catch(() => undefined)
    assert.equal((await readdir(join(options.cacheDir, 'apt'))).length, 2)
  })

  it('are taken when the guest has the key of the mirror, however it names it', async () => {
    await using repository = await openAptRepository([library], { signed: true })
    const key = repository.key ?? new Uint8Array()
    for (const [source, path] of [
      [`deb [signed-by=/keys/own.gpg] ${repository.url} ./`, '/keys/own.gpg'],
      [`deb ${repository.url} ./`, '/etc/apt/trusted.gpg.d/own.gpg'],
    ] as const) {
      const { remote, options } = await open(source, { files: { [path]: key } })
      const fetched = await fetchPackages(remote, [{ name: 'library' }], options)
      assert.equal(fetched?.files.length, 1, source)
    }
  })

  it('are refused when nobody signed for them whom the guest trusts', async () => {
    await using unsigned = await openAptRepository([library])
    await using signed = await openAptRepository([library], { signed: true })
    await using strange = await openAptRepository([library], { signed: true })
    for (const [source, files] of [
      [`deb ${unsigned.url} ./`, {}],
      [`deb ${signed.url} ./`, {}],
      [`deb [signed-by=/missing.gpg] ${signed.url} ./`, {}],
      [
        // a key for one mirror is none for another
        `deb [signed-by=/strange.gpg] ${signed.url} ./`,
        {
          '/strange.gpg': strange.key ?? '',
          '/etc/apt/trusted.gpg.d/signed.gpg': signed.key ?? '',
        },
      ],
    ] as const) {
      const { remote, options } = await open(source, { files })
      await assert.rejects(
        fetchPackages(remote, [{ name: 'library' }], options),
        failsWith('DOWNLOAD_FAILED'),
        source,
      )
    }
  })

  it('run nothing that the guest configured for its apt', async () => {
    await using repository = await openAptRepository([library])
    const trap = join(directory, 'trap')
    const command = `"touch ${trap}";`
    const { remote, options } = await open(trusted(repository), {
      files: {
        '/etc/apt/apt.conf': `APT::Update::Pre-Invoke:: ${command}\nDPkg::Pre-Invoke:: ${command}\n`,
        '/etc/apt/apt.conf.d/99trap': `APT::Update::Post-Invoke:: ${command}\n`,
        '/etc/apt/sources.list.d/x.sources': `Types: deb\nURIs: ${repository.url}\nSuites: ./\nTrusted: yes\nAPT::Update::Pre-Invoke: touch ${trap}\n`,
        '/etc/apt/preferences': `Package: *\nPin: release o=Test\nPin-Priority: 700\n`,
      },
    })
    assert.ok(await fetchPackages(remote, [{ name: 'library' }], options))
    assert.equal(existsSync(trap), false)
  })

  it('follow the guest’s preferences and the wanted version', async () => {
    await using old = await openAptRepository([{ name: 'library', version: '1.0' }])
    await using young = await openAptRepository([{ name: 'library', version: '2.0' }])
    const pin = 'Package: library\nPin: version 1.0\nPin-Priority: 900\n'
    const sources = `${trusted(old)}${trusted(young)}`
    const nameIn = async (files: Record<string, string>, version?: string) => {
      const { remote, options } = await open(sources, { files })
      const spec = version === undefined ? { name: 'library' } : { name: 'library', version }
      return (await fetchPackages(remote, [spec], options))?.files[0]?.name
    }
    assert.equal(await nameIn({}), 'library_2.0_amd64.deb')
    assert.equal(await nameIn({ '/etc/apt/preferences': pin }), 'library_1.0_amd64.deb')
    assert.equal(await nameIn({ '/etc/apt/preferences.d/pin.pref': pin }), 'library_1.0_amd64.deb')
    assert.equal(await nameIn({}, '1.*'), 'library_1.0_amd64.deb')
  })

  it('that are not there are named, also when the lists are made anew', async () => {
    await using repository = await openAptRepository([library])
    const { remote, options } = await open(trusted(repository))
    for (const spec of [{ name: 'nothing' }, { name: 'library', version: '9' }])
      await assert.rejects(fetchPackages(remote, [spec], options), (error) => {
        assert.ok(isFailure(error, 'STEP_FAILED'))
        assert.match(error.message, new RegExp(spec.name))
        return true
      })
  })

  it('from a mirror that does not answer fail with its name', async () => {
    const { url } = await openAptRepository([]).then(async (repository) => {
      await repository[Symbol.asyncDispose]()
      return repository
    })
    const { remote, options } = await open(`deb [trusted=yes] ${url} ./`)
    await assert.rejects(fetchPackages(remote, [{ name: 'library' }], options), (error) => {
      assert.ok(isFailure(error, 'DOWNLOAD_FAILED'))
      assert.match(error.message, /127\.0\.0\.1/)
      return true
    })
  })

  it('are left to the guest when only it can reach its mirrors', async () => {
    for (const source of ['deb file:/srv/mirror ./', 'deb [trusted=yes] copy:/etc ./', '']) {
      const { remote, options } = await open(source)
      assert.equal(await fetchPackages(remote, [{ name: 'library' }], options), undefined)
    }
    await using repository = await openAptRepository([library])
    const both = await open(`${trusted(repository)}deb file:/srv/mirror ./`)
    assert.ok(await fetchPackages(both.remote, [{ name: 'library' }], both.options))
    assert.equal(await fetchPackages(both.remote, [{ name: 'app' }], both.options), undefined)
  })
})

/** A guest for which packages were fetched. */
async function fetchApp(script: RemoteScript) {
  await using repository = await openAptRepository([app, library])
  const guest = await open(trusted(repository), script)
  const fetched = await fetchPackages(guest.remote, [{ name: 'app' }], guest.options)
  assert.ok(fetched)
  return { ...guest, fetched }
}

describe('fetched packages', { skip }, () => {
  it('are installed by dpkg in one command, marked by what they came for, and removed', async () => {
    const known = 'Package: other\nArchitecture: amd64\nAuto-Installed: 1\n\n'
    const { remote, fetched, options, commands } = await fetchApp({
      files: { '/var/lib/apt/extended_states': known },
      answers: [{ to: 'sh' }],
    })
    await installFetched(remote, fetched, options)
    assert.equal(commands().length, 1)
    assert.match(
      commands()[0] ?? '',
      /dpkg .*--install '\/var\/cache\/apt\/archives\/library_1\.5_amd64\.deb' '[^']*app_2%3a1\.0~beta1-3_amd64\.deb'$/,
    )
    assert.deepEqual(await remote.list('/var/cache/apt/archives'), [])
    const marks = parseControl((await remote.readText('/var/lib/apt/extended_states')) ?? '')
    assert.deepEqual(
      marks.map((stanza) => stanza.get('package')),
      ['other', 'library'],
    )
  })

  it('are removed also when dpkg fails, which is told', async () => {
    const stderr = 'dpkg: error processing archive: No space left on device\n'
    const { remote, fetched, options } = await fetchApp({
      answers: [{ to: 'sh', give: { code: 1, stderr } }],
    })
    await assert.rejects(installFetched(remote, fetched, options), failsWith('NO_SPACE'))
    assert.deepEqual(await remote.list('/var/cache/apt/archives'), [])
  })

  it('are unpacked and configured step by step where the order is not plain', async () => {
    const { remote, fetched, options, commands } = await fetchApp({ answers: [{ to: 'sh' }] })
    const steps = [
      { action: 'remove', packages: ['old'] },
      { action: 'unpack', packages: ['library'] },
      { action: 'configure', packages: ['library'] },
      { action: 'unpack', packages: ['app'] },
      { action: 'configure', packages: ['app'] },
    ] as const
    await installFetched(remote, { ...fetched, steps }, options)
    const actions = [...(commands()[0] ?? '').matchAll(/--(remove|unpack|configure) .*?(\w+)/g)]
    assert.deepEqual(
      actions.map(([, action]) => action),
      ['remove', 'unpack', 'configure', 'unpack', 'configure', 'configure'],
    )
  })
})

describe('the plan of apt', () => {
  it('is read line by line', () => {
    const text = `Reading package lists...
Remv vim [2:9.0.1378-2]
Inst libonig5 (6.9.8-1 Debian:12.15/oldstable [amd64])
Inst jq [1.5] (1.6-2.1+deb12u3 Debian-Security:12/oldstable-security, Debian:12 [amd64]) []
Conf jq:i386 (1.6-2.1+deb12u3 Debian:12/oldstable [i386])
`
    const plan = parsePlan(text)
    assert.deepEqual(
      plan.map(({ what, name, isNew, architecture }) => [what, name, isNew, architecture]),
      [
        ['Remv', 'vim', false, ''],
        ['Inst', 'libonig5', true, 'amd64'],
        ['Inst', 'jq', false, 'amd64'],
        ['Conf', 'jq:i386', true, 'i386'],
      ],
    )
  })

  it('is nothing a shell could take for more than words, whatever apt prints', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, version) => {
        for (const one of parsePlan(`Inst ${name} (${version} Debian:12 [amd64])`))
          assert.match(`${one.name}${one.version}`, /^[A-Za-z0-9.+~:-]+$/)
      }),
    )
  })
})
