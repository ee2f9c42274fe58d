import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { joinParts, loadPlugins, type Plugin } from './plugins.ts'

const temp = await tempDir()

async function moduleOf(text: string): Promise<string> {
  const path = temp(`plugin-${text.length}.mjs`)
  await writeFile(path, text)
  return path
}

describe('plugins', () => {
  it('are loaded by absolute path, as `plugin` or as what the module is', async () => {
    const named = await moduleOf('export const plugin = { name: "one" }')
    const plain = await moduleOf('export default { name: "another" }')
    const plugins = await loadPlugins([named, plain])
    assert.deepEqual(
      plugins.map(({ name }) => name),
      ['one', 'another'],
    )
  })

  it('say which module cannot be loaded, or is none', async () => {
    await assert.rejects(
      loadPlugins(['/no/such/module.mjs']),
      failsWith('CONFIG_INVALID', /\/no\/such/),
    )
    const other = await moduleOf('export const plugins = []')
    await assert.rejects(loadPlugins([other]), failsWith('CONFIG_INVALID', /exports no 'plugin'/))
    const broken = await moduleOf('export const plugin = {')
    await assert.rejects(loadPlugins([broken]), failsWith('CONFIG_INVALID', /cannot be loaded/))
  })

  it('stand behind the built-in parts, and bring no name that is there', () => {
    const mine = { name: 'mine', aliases: [] as readonly string[] }
    const plugin = { name: 'p' } satisfies Plugin
    const join = (aliases: readonly string[]) =>
      joinParts('thing', [{ name: 'first', aliases }], [plugin], () => [mine])
    assert.deepEqual(
      join(['1st']).map(({ name }) => name),
      ['first', 'mine'],
    )
    assert.throws(() => join(['mine']), failsWith('CONFIG_INVALID', /'mine'.*Ingot itself/))
  })
})
