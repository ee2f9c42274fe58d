import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { findSaharaPlugins, recipeOfVersion } from './sahara-plugins.ts'

const root = mkdtempSync(join(tmpdir(), 'ingot-plugins-'))
after(() => rmSync(root, { recursive: true }))

/** Recipes at these paths; the directory they are in. */
function lay(name: string, ...plugins: string[]): string {
  for (const plugin of plugins) {
    const file = join(root, name, plugin, 'resources/images/image.yaml')
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, 'validators: []\n')
  }
  return join(root, name)
}
const namesIn = async (...paths: string[]) =>
  (await findSaharaPlugins(paths)).plugins.map(({ name }) => name)

describe('findSaharaPlugins', () => {
  it('finds plugins in their checkout, their package, their directory, or themselves', async () => {
    const checkout = lay('checkout', 'sahara_plugin_spark/plugins/spark')
    assert.deepEqual(await namesIn(checkout), ['spark'])
    assert.deepEqual(await namesIn(join(checkout, 'sahara_plugin_spark')), ['spark'])
    assert.deepEqual(await namesIn(join(checkout, 'sahara_plugin_spark/plugins')), ['spark'])
    assert.deepEqual(await namesIn(join(checkout, 'sahara_plugin_spark/plugins/spark')), ['spark'])
  })

  it('finds all plugins of installed packages side by side', async () => {
    const site = lay('site', 'sahara_plugin_b/plugins/b', 'sahara_plugin_a/plugins/a')
    assert.deepEqual(await namesIn(site), ['a', 'b'])
  })

  it('makes versions of directories, the newest first', async () => {
    const path = lay('cdh', 'cdh/v5_7_0', 'cdh/v5_13_0', 'cdh/v5_9_0', 'cdh/v5_2_0_mrv2')
    mkdirSync(join(path, 'cdh/v6_0_0/resources'), { recursive: true })
    const [plugin] = (await findSaharaPlugins([path])).plugins
    assert.deepEqual(
      plugin?.versions.map(({ version }) => version),
      ['5.13.0', '5.9.0', '5.7.0', '5.2.0.mrv2'],
    )
    assert.equal(
      recipeOfVersion(plugin, '5.7.0'),
      join(path, 'cdh/v5_7_0/resources/images/image.yaml'),
    )
  })

  it('knows the versions of the published plugins that have one recipe for all', async () => {
    const { plugins } = await findSaharaPlugins([lay('known', 'spark', 'ambari', 'mapr')])
    assert.deepEqual(
      plugins.map(({ name, versions }) => [name, versions.map(({ version }) => version)]),
      [
        ['ambari', ['2.6', '2.5', '2.4', '2.3']],
        ['mapr', ['5.2.0.mrv2']],
        ['spark', ['2.3', '2.2']],
      ],
    )
    assert.throws(() => recipeOfVersion(plugins[2]!, '9.9'), failsWith('USAGE'))
  })

  it('takes any version for another plugin with one recipe, since only its Python knows them', async () => {
    const [plugin] = (await findSaharaPlugins([lay('own', 'own')])).plugins
    assert.deepEqual(plugin?.versions, [])
    assert.match(recipeOfVersion(plugin, '1.0'), /own\/resources\/images\/image.yaml$/)
  })

  it('takes the first of two plugins of one name, and says so', async () => {
    const paths = [lay('first', 'x'), lay('second', 'x'), join(root, 'first', 'x')]
    const { plugins, notes } = await findSaharaPlugins(paths)
    assert.deepEqual(
      plugins.map(({ directory }) => directory),
      [join(root, 'first/x')],
    )
    assert.deepEqual(notes, [
      `${join(root, 'second/x')}: left out, 'x' is in ${join(root, 'first/x')} too`,
    ])
  })

  it('says where it found nothing, and fails where there is nothing to look in', async () => {
    mkdirSync(join(root, 'empty'))
    assert.match((await findSaharaPlugins([join(root, 'empty')])).notes.join(), /no plugin with/)
    await assert.rejects(findSaharaPlugins([join(root, 'none')]), failsWith('FILE_NOT_FOUND'))
    writeFileSync(join(root, 'file'), '')
    await assert.rejects(findSaharaPlugins([join(root, 'file')]), failsWith('FILE_NOT_FOUND'))
  })

  it('reads no recipe, so that a bad one is nobody else’s trouble', async () => {
    const path = lay('bad', 'bad', 'good')
    writeFileSync(join(path, 'bad/resources/images/image.yaml'), '[')
    assert.deepEqual(await namesIn(path), ['bad', 'good'])
  })

  it('ends where links lead in a circle', async () => {
    const path = lay('circle', 'x')
    symlinkSync(path, join(path, 'x/plugins'))
    assert.deepEqual(await namesIn(path), ['x'])
  })
})
