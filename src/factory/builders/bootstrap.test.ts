import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { validatorMap } from '../../app/builtin.ts'
import { defaultCacheDir } from '../../base/paths.ts'
import { GiB } from '../../base/units.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import { makeContext } from '../../base/context.ts'
import { buildJob } from '../../testing/build-job.ts'
import { templateOf } from '../../testing/template-of.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { parseIcicle } from '../documents.ts'
import { parseTemplate } from '../parse-template.ts'
import { osOfBase, releaseOf } from '../_os-of-base.ts'
import { bootstrapBuilder } from './bootstrap.ts'
import { toBootstrapPlan, whyNotBootstrap } from './_bootstrap-plan.ts'

const at = await tempDir()
const full = process.env['INGOT_TEST_FULL'] === '1' ? false : 'a real build: INGOT_TEST_FULL=1'
const validators = validatorMap()
const parse = async (text: string) =>
  await parseTemplate({ text }, { validators, requireRootPassword: false })

const tdl = (parts: {
  os?: string
  version?: string
  arch?: string
  install?: string
  more?: string
}) =>
  parse(`<template>
  <name>a base/image</name>
  <os>
    <name>${parts.os ?? 'Debian'}</name><version>${parts.version ?? '12'}</version><arch>${parts.arch ?? 'x86_64'}</arch>
    <install type="url"><url>${parts.install ?? 'http://imported.invalid/'}</url></install>
    <rootpw>a sEcret</rootpw>
    <icicle><extra_command>dpkg-query -W -f '\${Status}\\n'</extra_command></icicle>
  </os>
  ${parts.more ?? ''}
</template>`)

const why = async (parts: Parameters<typeof tdl>[0]) => whyNotBootstrap(await tdl(parts), {})

describe('what is bootstrapped', () => {
  it('is the system that a TDL names, with the size of its disk', async () => {
    const template = await tdl({
      os: 'Ubuntu',
      version: '24.04.1',
      more: '<disk><size>3</size></disk>',
    })
    assert.equal(whyNotBootstrap(template, {}), undefined)
    const { recipe, size } = toBootstrapPlan(template, {})
    assert.deepEqual(recipe.base, { distro: 'ubuntu', release: 'noble' })
    assert.equal(size, 3 * GiB)
  })

  it('comes from the mirror that a TDL names, however deep it points', async () => {
    for (const [install, mirror] of [
      [
        'http://mirror.example/debian/dists/bookworm/main/installer-amd64/',
        'http://mirror.example/debian',
      ],
      ['http://mirror.example/debian/', 'http://mirror.example/debian'],
      ['http://mirror.example/debian', 'http://mirror.example/debian'],
      ['http://imported.invalid/', undefined],
    ] as const) {
      const { recipe } = toBootstrapPlan(await tdl({ install }), {})
      assert.equal(recipe.base?.mirror, mirror)
    }
  })

  it('is what a recipe says; options stand above it', async () => {
    const template = templateOf('base: { distro: debian, release: bookworm }\nvalidators: []')
    assert.equal(toBootstrapPlan(template, {}).size, undefined)
    const options = { size: '4G', mirror: 'http://mirror.example/debian', cloud_init: false }
    const { recipe, size } = toBootstrapPlan(template, { ...options, file_system: 'btrfs' })
    const { mirror, cloud_init } = options
    assert.deepEqual(recipe.base, { distro: 'debian', release: 'bookworm', mirror, cloud_init })
    assert.deepEqual(recipe.disk, { file_system: 'btrfs' })
    assert.equal(size, 4 * GiB)
  })

  it('is refused by name when it is something else', async () => {
    assert.match((await why({ os: 'Fedora', version: '39' })) ?? '', /and not Fedora 39$/)
    assert.match((await why({ version: '4' })) ?? '', /and not Debian 4$/)
    assert.match((await why({ arch: 'aarch64' })) ?? '', /and not for aarch64$/)
    assert.match(whyNotBootstrap(templateOf(), {}) ?? '', /no `base`/)
    const wanting =
      'base: { distro: debian, release: bookworm }\narguments: { a: { required: true } }\nvalidators: []'
    assert.match(whyNotBootstrap(templateOf(wanting), {}) ?? '', /'a' is required/)
    assert.equal(whyNotBootstrap(templateOf(wanting), { args: { a: '1' } }), undefined)
  })

  it('has one name for each release, both ways', () => {
    const release = fc.constantFrom('bullseye', 'bookworm', 'trixie', 'jammy', 'noble', 'sid')
    fc.assert(
      fc.property(release, (release) => {
        const distro = /jammy|noble/.test(release) ? 'ubuntu' : 'debian'
        const os = osOfBase({ distro, release })
        assert.deepEqual(os && releaseOf(os), { distro, release })
      }),
    )
    assert.equal(releaseOf({ name: 'Fedora', version: '39', arch: 'x86_64' }), undefined)
  })
})

describe('the builder bootstrap', () => {
  it('builds what a TDL asks for, and tells what is in it', { skip: full }, async () => {
    const template = await tdl({
      more: '<disk><size>2</size></disk><files><file name="/etc/hello">world</file></files>',
    })
    await mkdir(at('work'))
    const cacheDir = defaultCacheDir(process.env)
    const options = { cloud_init: false }
    const { job, written } = buildJob({ options, workDir: at('work'), cacheDir, template })
    const builder = bootstrapBuilder({ proxies: {}, version: '1.2.3' })
    const { body, documents } = await builder.build(job)
    assert.equal(body?.format, 'raw')
    assert.equal(body?.path, at('work/a-base-image.raw'))
    assert.deepEqual(written.phases, [
      'packages',
      'recipe',
      'boot loader',
      'clean',
      'disk',
      'digest',
    ])
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )

    const { packages } = parseIcicle(documents?.icicle ?? '')
    const dpkg = packages.find(({ name }) => name.startsWith('dpkg_'))
    assert.match(dpkg?.name ?? '', /^dpkg_1\.\d+\.\d+\S*_amd64$/)
    assert.equal(dpkg?.extra, 'install ok installed')
    assert.equal(JSON.parse(documents?.sbom ?? '{}').packages.length, packages.length + 1)

    const context = makeContext()
    await using remote = await openReadImage({ path: body?.path ?? '', format: 'raw' }, context)
    const read = async (path: string) =>
      Buffer.from((await remote.readFile?.(path, 1e6)) ?? '').toString()
    assert.equal(await read('/etc/hello'), 'world')
    assert.match(await read('/etc/shadow'), /^root:\$[^:]{20,}:/m)
    assert.ok(![written.output, ...written.events].some((text) => text.includes('a sEcret')))
  })
})
