import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Facts } from '../../remotes/facts.ts'
import { parseTemplate } from '../parse-template.ts'
import { toImportedTemplate } from './_imported-template.ts'

const factsOf = (distro: string, version: string, architecture = 'x86_64'): Facts => ({
  distro,
  family: undefined,
  version,
  codename: '',
  prettyName: `${distro} & <friends>`,
  architecture,
})

async function read(name: string, facts: Facts) {
  const text = toImportedTemplate(name, facts)
  assert.ok(text)
  return await parseTemplate({ text }, { validators: new Map(), requireRootPassword: false })
}

describe('the template of an image that was made elsewhere', () => {
  it('names its system as TDL does', async () => {
    for (const [facts, name, version] of [
      [factsOf('debian', '12'), 'Debian', '12'],
      [factsOf('ubuntu', '24.04'), 'Ubuntu', '24.04'],
      [factsOf('fedora', '39'), 'Fedora', '39'],
      [factsOf('rhel', '9.3'), 'RHEL-9', '3'],
      [factsOf('centos', '7'), 'RHEL-7', '0'],
      [factsOf('rocky', '8.10'), 'RHEL-8', '10'],
      [factsOf('arch', ''), 'arch', '0'],
    ] as const) {
      const { os, recipe, description } = await read('x', facts)
      assert.deepEqual(os, { name, version, arch: 'x86_64' })
      assert.equal(recipe.steps.length, 0)
      assert.equal(description, `${facts.distro} & <friends>`)
    }
  })

  it('is not made for a processor that no TDL names', () => {
    assert.equal(toImportedTemplate('x', factsOf('debian', '13', 'riscv64')), undefined)
    assert.match(toImportedTemplate('x', factsOf('debian', '12', 'i686')) ?? '', /<arch>i386</)
  })

  it('can be read whatever the image is called, and says of itself', async () => {
    const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(word, word, word, async (name, distro, version) => {
        await read(`n${name}`, factsOf(`d${distro}`, `1${version}`))
      }),
      { numRuns: 30 },
    )
  })
})
