import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { validatorMap } from '../app/builtin.ts'
import { GiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { parseTemplate } from './parse-template.ts'

const path = await tempDir()
const options = { validators: validatorMap(), requireRootPassword: false }

function tdl(rest: string, os = ''): string {
  return `<template><name>web</name><description>serves</description><os><name>Debian</name><version>12</version><arch>x86_64</arch><install type="url"><url>http://me:hidden@a/</url></install>${os}</os>${rest}</template>`
}

describe('a template', () => {
  it('that begins with < is a TDL, with a recipe and a plan', async () => {
    const text = `\n${tdl('<packages><package name="nginx"/></packages>', '<rootpw>geheim</rootpw>')}`
    const template = await parseTemplate({ text }, options)
    assert.equal(template.kind, 'tdl')
    assert.equal(template.name, 'web')
    assert.equal(template.description, 'serves')
    assert.deepEqual(template.install, {
      source: { type: 'url', url: 'http://me:hidden@a/' },
      diskSize: 10 * GiB,
      rootPassword: 'geheim',
      productKey: null,
      kernelParameters: null,
    })
    assert.deepEqual(template.secrets, ['geheim', 'hidden'])
    assert.deepEqual(
      template.recipe.steps.map(({ title }) => title),
      ['package nginx'],
    )
  })

  it('that does not is a recipe, whose base is its system', async () => {
    const text = 'name: web\nbase: {distro: ubuntu, release: noble}\nvalidators: []\n'
    const template = await parseTemplate({ text }, options)
    assert.equal(template.kind, 'recipe')
    assert.deepEqual(template.os, { name: 'Ubuntu', version: '24.04', arch: 'x86_64' })
    assert.equal(template.install, undefined)
    const bare = await parseTemplate({ text: 'validators: []\n' }, options)
    assert.equal(bare.os, undefined)
  })

  it('has all its faults told at once', async () => {
    await assert.rejects(
      parseTemplate({ text: '<template><os/></template>' }, options),
      (error) => {
        assert.ok(failsWith('TEMPLATE_INVALID')(error))
        const lines = (error as Error).message.split('\n')
        assert.equal(lines.length, 5)
        assert.ok(lines.every((line) => /^template:1:\d+: /.test(line)))
        return true
      },
    )
    await assert.rejects(
      parseTemplate({ text: 'validators: [{pakage: a}]' }, options),
      failsWith('RECIPE_INVALID'),
    )
  })

  it('needs the password of root where that is asked for', async () => {
    await assert.rejects(
      parseTemplate({ text: tdl('') }, { ...options, requireRootPassword: true }),
      failsWith('TEMPLATE_INVALID'),
    )
  })

  it('that would become too long a recipe is refused', async () => {
    const text = tdl(
      `<files><file name="/a">${'\n'.repeat(1)}${'a\n'.repeat(300_000)}</file></files>`,
    )
    await assert.rejects(parseTemplate({ text }, options), (error) => {
      assert.ok(failsWith('TEMPLATE_INVALID')(error))
      return /as a recipe, this template is wrong: .* characters/.test((error as Error).message)
    })
  })
})

describe('files that a template names', () => {
  const recipe = 'validators: [{file: {path: /a, source: a.txt}}]\n'

  it('are those that came with it', async () => {
    const files = { 'a.txt': Buffer.from('given') }
    const { recipe: read } = await parseTemplate({ text: recipe, files }, options)
    assert.deepEqual(read.steps[0]?.options, { path: '/a', content: Buffer.from('given') })
    const text = tdl('<commands><command name="a" type="url">file:///a.txt</command></commands>')
    const withFile = await parseTemplate(
      { text, files: { '/a.txt': Buffer.from('true') } },
      options,
    )
    assert.equal(withFile.recipe.steps.length, 1)
  })

  it('are never those of this host, unless the template is a file itself', async () => {
    await mkdir(path('in'))
    await writeFile(path('in/a.txt'), 'on disk')
    await writeFile(path('outside.txt'), 'elsewhere')
    await symlink('../outside.txt', path('in/link.txt'))
    const local = tdl(`<files><file name="/a" type="url">file://${path('in/a.txt')}</file></files>`)
    for (const text of [recipe, local]) {
      await assert.rejects(parseTemplate({ text }, options), /was given with this template/)
      const { recipe: read } = await parseTemplate({ text }, { ...options, file: path('in/t') })
      const { content } = (read.steps[0]?.options ?? {}) as { content?: unknown }
      assert.equal(String(content), 'on disk')
    }
    for (const name of ['outside.txt', 'in/link.txt'])
      await assert.rejects(
        parseTemplate(
          { text: local.replace('in/a.txt', name) },
          { ...options, file: path('in/t') },
        ),
        /leads out of the recipe's directory/,
      )
  })
})
