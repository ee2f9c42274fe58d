import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import type { InstalledPackage } from '../guests/package-manager.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseIcicle, toIcicle, toPackageName } from './documents.ts'

const installed = (name: string, version: string, architecture: string): InstalledPackage => ({
  name,
  version,
  architecture,
  provides: [],
})

describe('names of packages', () => {
  it('are those of rpm -qa for the kin of Red Hat and SUSE: without epoch, with release', () => {
    const bash = installed('bash', '5.1.8-6.el9', 'x86_64')
    assert.equal(toPackageName(bash, 'redhat'), 'bash-5.1.8-6.el9.x86_64')
    const vim = installed('vim-minimal', '2:9.1.0-1', 'x86_64')
    assert.equal(toPackageName(vim, 'suse'), 'vim-minimal-9.1.0-1.x86_64')
  })

  it('are those of package files for the kin of Debian: without epoch', () => {
    const ssh = installed('openssh-server', '1:9.2p1-2+deb12u5', 'amd64')
    assert.equal(toPackageName(ssh, 'debian'), 'openssh-server_9.2p1-2+deb12u5_amd64')
    const foreign = installed('libc6:i386', '2.36-9', 'i386')
    assert.equal(toPackageName(foreign, 'debian'), 'libc6_2.36-9_i386')
  })
})

describe('ICICLE', () => {
  it('is the XML that Image Factory writes', () => {
    const text = toIcicle([installed('bash', '5.2-1', 'amd64'), 'as it is'], {
      family: 'debian',
      description: 'My <JEOS>',
      extra: ['a & b', ''],
    })
    assert.equal(
      text,
      `<icicle>
  <description>My &lt;JEOS&gt;</description>
  <packages>
    <package name="bash_5.2-1_amd64"><extra>a &amp; b</extra></package>
    <package name="as it is"><extra></extra></package>
  </packages>
</icicle>
`,
    )
  })

  it('refuses lines that are not one for each package', () => {
    const extra = ['one']
    assert.throws(
      () => toIcicle(['a', 'b'], { extra }),
      failsWith('COMMAND_FAILED', /printed 1 lines for 2 packages/),
    )
  })

  it('says what was said, whatever characters it has', () => {
    const text = fc
      .string({ unit: 'binary' })
      .map((one) => one.replaceAll(/[^\P{C}\t\n\r]|[\ufffe\uffff]/gu, ''))
    const one = fc.record({ name: text, extra: text }, { noNullPrototype: true })
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), text, (packages, description) => {
        const names = packages.map(({ name }) => name)
        const extra = packages.map((given) => given.extra)
        const read = parseIcicle(toIcicle(names, { extra, description }))
        assert.deepEqual(read.packages, packages)
        assert.equal(read.description ?? '', description)
      }),
    )
  })

  it('is read as Image Factory writes it', () => {
    const text =
      '<icicle><packages><package name="a"/><package name="b"><extra>x</extra></package></packages></icicle>'
    const { description, packages } = parseIcicle(text)
    assert.equal(description, undefined)
    assert.deepEqual(packages, [{ name: 'a' }, { name: 'b', extra: 'x' }])
  })

  it('is refused when it is something else, too deep, too large, or has entities', () => {
    for (const text of [
      '',
      'no xml',
      '<template/>',
      '<icicle/>',
      '<icicle><packages/><packages/></icicle>',
      '<icicle><packages><package/></packages></icicle>',
      '<!DOCTYPE icicle [<!ENTITY a "b">]><icicle><packages/></icicle>',
      `${'<a>'.repeat(50)}${'</a>'.repeat(50)}`,
      `<icicle><description>${'x'.repeat(2 ** 21)}</description><packages/></icicle>`,
    ])
      assert.throws(() => parseIcicle(text), failsWith('TEMPLATE_INVALID'), text.slice(0, 60))
  })

  it('is read or refused, and nothing else happens', () => {
    const soup = fc.array(
      fc.constantFrom(
        '<icicle>',
        '</icicle>',
        '<packages>',
        '</packages>',
        '<package name="a">',
        '</package>',
        '<extra>',
        '</extra>',
        'x',
        '&lt;',
        '&x;',
        '<!--',
        '-->',
        '<',
      ),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(soup, (parts) => {
        try {
          parseIcicle(parts.join(''))
        } catch (error) {
          assert.ok(isFailure(error, 'TEMPLATE_INVALID'), String(error))
        }
      }),
    )
  })
})
