import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import { toFacts } from '../../remotes/facts.ts'
import { toSbom } from './sbom.ts'

const image = {
  file: 'debian-12.qcow2',
  format: 'qcow2',
  size: 1,
  virtualSize: 2,
  sha256: 'ab'.repeat(32),
  sha512: 'cd'.repeat(64),
  reproducible: true,
} as const
const facts = toFacts('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n', 'x86_64')
const openssl: InstalledPackage = {
  name: 'libssl3',
  version: '1:3.0.17-1~deb12u3+b1',
  architecture: 'amd64',
  provides: [],
  source: 'openssl',
  maintainer: 'Debian OpenSSL Team <pkg-openssl-devel@lists.example>',
  homepage: 'https://www.openssl.org/',
}

/** As much of SPDX's schema as is asserted here. */
interface Document {
  spdxVersion: string
  dataLicense: string
  SPDXID: string
  name: string
  documentNamespace: string
  creationInfo: { created: string; creators: string[] }
  packages: Record<string, unknown>[]
  relationships: { spdxElementId: string; relationshipType: string; relatedSpdxElement: string }[]
}

function sbomOf(packages: readonly InstalledPackage[]): Document {
  const time = new Date('2026-01-31T12:00:00.789Z')
  return toSbom({ name: 'debian-12', image, facts, packages, time, version: '0.1.0' }) as Document
}

describe('a bill of materials', () => {
  it('has every field that SPDX 2.3 demands, in its form', () => {
    const document = sbomOf([openssl])
    assert.equal(document.spdxVersion, 'SPDX-2.3')
    assert.equal(document.dataLicense, 'CC0-1.0')
    assert.equal(document.SPDXID, 'SPDXRef-DOCUMENT')
    assert.match(document.documentNamespace, /^urn:uuid:[0-9a-f-]{36}$/)
    assert.deepEqual(document.creationInfo, {
      created: '2026-01-31T12:00:00Z',
      creators: ['Tool: ingot-0.1.0'],
    })
    for (const one of document.packages) {
      assert.match(String(one['SPDXID']), /^SPDXRef-[A-Za-z0-9.-]+$/)
      assert.equal(typeof one['name'], 'string')
      assert.equal(one['downloadLocation'], 'NOASSERTION')
      assert.equal(one['filesAnalyzed'], false)
    }
  })

  it('names each package so that scanners find it', () => {
    const [, found] = sbomOf([openssl]).packages
    assert.equal(found?.['versionInfo'], openssl.version)
    assert.equal(
      found?.['supplier'],
      'Organization: Debian OpenSSL Team (pkg-openssl-devel@lists.example)',
    )
    assert.equal(found?.['sourceInfo'], 'built from the source package openssl')
    assert.deepEqual(found?.['externalRefs'], [
      {
        referenceCategory: 'PACKAGE-MANAGER',
        referenceType: 'purl',
        referenceLocator:
          'pkg:deb/debian/libssl3@1%3A3.0.17-1~deb12u3%2Bb1?arch=amd64&distro=debian-12',
      },
    ])
  })

  it('relates the image to each package once, under names of its own', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9+.-]{1,20}$/)
    const packages = fc.uniqueArray(name, { maxLength: 30 })
    fc.assert(
      fc.property(packages, (names) => {
        const document = sbomOf(names.map((one) => ({ ...openssl, name: one })))
        const ids = document.packages.map((one) => String(one['SPDXID']))
        assert.equal(new Set(ids).size, names.length + 1)
        assert.deepEqual(
          document.relationships.map((one) => one.relatedSpdxElement),
          ids,
        )
        assert.ok(ids.every((id) => /^SPDXRef-[A-Za-z0-9.-]+$/.test(id)))
      }),
    )
  })

  it('is the same for the same image', () => {
    assert.deepEqual(sbomOf([openssl]), sbomOf([openssl]))
  })
})
