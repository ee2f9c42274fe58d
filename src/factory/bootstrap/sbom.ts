/**
 * The bill of materials of an image, in SPDX 2.3 JSON. Of the same image it is the same text.
 * Source: the SPDX specification 2.3; purl-spec, types deb and rpm.
 */
import type { InstalledPackage } from '../../guests/package-manager.ts'
import type { Facts } from '../../remotes/facts.ts'
import { toUuid } from './disk-identity.ts'
import type { ImageFacts } from './manifest.ts'

export interface SbomParts {
  /** Of the image. */
  name: string
  image: Pick<ImageFacts, 'file' | 'sha256'> & Partial<Pick<ImageFacts, 'sha512'>>
  facts: Facts
  packages: readonly InstalledPackage[]
  time: Date
  /** Version of Ingot. */
  version: string
}

const IMAGE_ID = 'SPDXRef-Image'

/** The bill of materials as plain data. */
export function toSbom(parts: SbomParts): object {
  const { name, image, facts, packages, time, version } = parts
  const described = packages.map((one) => describePackage(one, facts))
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `urn:uuid:${toUuid(image.sha256, `SPDX document of ${name}`)}`,
    creationInfo: {
      created: `${time.toISOString().slice(0, 19)}Z`,
      creators: [`Tool: ingot-${version}`],
    },
    documentDescribes: [IMAGE_ID],
    packages: [
      {
        SPDXID: IMAGE_ID,
        name,
        versionInfo: `sha256:${image.sha256}`,
        packageFileName: image.file,
        primaryPackagePurpose: 'OPERATING-SYSTEM',
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        checksums: [
          { algorithm: 'SHA256', checksumValue: image.sha256 },
          ...(image.sha512 === undefined
            ? []
            : [{ algorithm: 'SHA512', checksumValue: image.sha512 }]),
        ],
        comment: facts.prettyName,
      },
      ...described,
    ],
    relationships: [
      relate('SPDXRef-DOCUMENT', 'DESCRIBES', IMAGE_ID),
      ...described.map(({ SPDXID }) => relate(IMAGE_ID, 'CONTAINS', SPDXID)),
    ],
  }
}

function describePackage(one: InstalledPackage, facts: Facts) {
  const name = one.name.replace(/:.*/, '')
  return {
    SPDXID: `SPDXRef-Package-${toIdentifier(`${name}-${one.architecture}`)}`,
    name,
    versionInfo: one.version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    ...(one.maintainer !== undefined && { supplier: toSupplier(one.maintainer) }),
    ...(one.homepage !== undefined && { homepage: one.homepage }),
    ...(one.source !== undefined && { sourceInfo: `built from the source package ${one.source}` }),
    externalRefs: [
      {
        referenceCategory: 'PACKAGE-MANAGER',
        referenceType: 'purl',
        referenceLocator: toPurl(name, one, facts),
      },
    ],
  }
}

/** `pkg:deb/debian/openssl@3.0.17-1?arch=amd64&distro=debian-12`, `pkg:rpm/fedora/vim@9.1-1?arch=x86_64&epoch=2&…`. */
function toPurl(name: string, one: InstalledPackage, facts: Facts): string {
  const isRpm = facts.family === 'redhat' || facts.family === 'suse'
  const [, epoch, bare] = /^(?:(\d+):)?(.*)$/s.exec(one.version) ?? []
  const [version, arch] = [(isRpm && bare) || one.version, one.architecture].map(encodeURIComponent)
  const more = isRpm && epoch !== undefined ? `&epoch=${epoch}` : ''
  const distro = `${facts.distro}-${facts.version}`
  const kind = `${isRpm ? 'rpm' : 'deb'}/${facts.distro}`
  return `pkg:${kind}/${encodeURIComponent(name)}@${version}?arch=${arch}${more}&distro=${distro}`
}

/** A team's address stands for a team. Source: SPDX 2.3, 7.5. */
function toSupplier(maintainer: string): string {
  const [, name = maintainer, address] = /^(.*?)\s*<([^<>]+)>$/.exec(maintainer) ?? []
  const isTeam = /team|maintainers|group|project|developers|lists/i.test(maintainer)
  const kind = isTeam ? 'Organization' : 'Person'
  return `${kind}: ${name}${address === undefined ? '' : ` (${address})`}`
}

/** Letters, digits, dots and hyphens are all that an identifier may have; others are spelt out. */
function toIdentifier(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9.-]/g, (char) => `-x${char.codePointAt(0)?.toString(16)}-`)
}

function relate(from: string, type: string, to: string) {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to }
}
