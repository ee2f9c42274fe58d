import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Facts } from '../remotes/facts.ts'
import { templateOf } from '../testing/template-of.ts'
import { type DocumentParts, documentsOf, parseIcicle } from './documents.ts'

const facts: Facts = {
  distro: 'fedora',
  family: 'redhat',
  version: '39',
  codename: '',
  prettyName: 'Fedora Linux 39',
  architecture: 'x86_64',
}
const vim = { name: 'vim', version: '2:9.1-1.fc39', architecture: 'x86_64', provides: [] }
const parts: DocumentParts = {
  id: 'an-id',
  name: 'base',
  disk: { virtualSize: 1024, dataSize: 512, sha256: 'ab'.repeat(32), sha512: null },
  madeBy: 'nova',
  facts,
  packages: [vim],
  template: templateOf('name: base\nvalidators: []', { description: 'What it is for' }),
  parameters: { flavor: 'm1.small' },
  phases: [{ name: 'install', durationMs: 3 }],
  more: { cloud: 'private' },
  time: new Date('2026-01-02T03:04:05Z'),
  version: '1.2.3',
}

describe('documents of an image', () => {
  it('tell its packages as ICICLE and as a bill of materials', () => {
    const { icicle = '', sbom = '' } = documentsOf(parts)
    assert.deepEqual(parseIcicle(icicle), {
      description: 'What it is for',
      packages: [{ name: 'vim-9.1-1.fc39.x86_64' }],
    })
    assert.partialDeepStrictEqual(JSON.parse(sbom), {
      spdxVersion: 'SPDX-2.3',
      packages: [
        { name: 'base', checksums: [{ algorithm: 'SHA256', checksumValue: 'ab'.repeat(32) }] },
        { name: 'vim', versionInfo: '2:9.1-1.fc39' },
      ],
    })
    assert.match(sbom, /pkg:rpm\/fedora\/vim@9\.1-1\.fc39\?arch=x86_64&epoch=2&distro=fedora-39/)
  })

  it('tell how it was made', () => {
    const { manifest = '' } = documentsOf(parts)
    assert.deepEqual(JSON.parse(manifest), {
      manifestVersion: 1,
      image: {
        id: 'an-id',
        name: 'base',
        format: 'raw',
        virtualSize: 1024,
        dataSize: 512,
        sha256: 'ab'.repeat(32),
        sha512: null,
      },
      madeBy: 'nova',
      template: {
        kind: 'recipe',
        name: 'debian-12',
        description: 'What it is for',
        digest: `sha256:${parts.template?.recipe.digest}`,
        os: { name: 'Debian', version: '12', arch: 'x86_64' },
      },
      parameters: { flavor: 'm1.small' },
      guest: { ...facts },
      cloud: 'private',
      packages: [{ name: 'vim', version: '2:9.1-1.fc39', architecture: 'x86_64', source: 'vim' }],
      tools: { ingot: '1.2.3' },
      times: { madeAt: '2026-01-02T03:04:05.000Z', durationMs: 3, phases: parts.phases },
    })
  })

  it('are a manifest only, of a disk in which nobody can look', () => {
    const { facts: _facts, packages: _packages, ...dark } = parts
    assert.deepEqual(Object.keys(documentsOf(dark)), ['manifest'])
  })
})
