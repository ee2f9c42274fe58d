/**
 * ICICLE: the record of packages inside an image, as Image Factory tells it.
 * Source: Oz's schema: `icicle` of `packages/package[@name]`, each with an optional `extra`, and an optional `description`.
 */
import { Failure } from '../base/failure.ts'
import type { InstalledPackage } from '../guests/package-manager.ts'
import type { Family } from '../remotes/facts.ts'
import { parseXml, type XmlElement } from './tdl/_xml.ts'

export interface Icicle {
  readonly description: string | undefined
  readonly packages: readonly IciclePackage[]
}

export interface IciclePackage {
  readonly name: string
  readonly extra?: string | undefined
}

export interface IcicleOptions {
  /** How the guest's packages are called; see `toPackageName`. */
  readonly family?: Family | undefined
  readonly description?: string | undefined
  /** What the template's `icicle/extra_command` printed: a line for each package, in their order. */
  readonly extra?: readonly string[] | undefined
}

/**
 * The record as XML. Packages that are texts are called so. Fails with COMMAND_FAILED when `extra` has not a line for
 * each package: nobody could tell which belongs to which.
 */
export function toIcicle(
  packages: readonly (string | InstalledPackage)[],
  { family, description, extra }: IcicleOptions = {},
): string {
  if (extra !== undefined && extra.length !== packages.length)
    throw new Failure(
      'COMMAND_FAILED',
      `the command of icicle/extra_command printed ${extra.length} lines for ${packages.length} packages`,
      { details: { lines: extra.length, packages: packages.length } },
    )
  const lines = packages.map((one, index) => {
    const name = typeof one === 'string' ? one : toPackageName(one, family)
    const more = extra?.[index]
    const open = `    <package name="${escapeXml(name)}"`
    return more === undefined ? `${open}/>` : `${open}><extra>${escapeXml(more)}</extra></package>`
  })
  return [
    '<icicle>',
    ...(description ? [`  <description>${escapeXml(description)}</description>`] : []),
    '  <packages>',
    ...lines,
    '  </packages>',
    '</icicle>',
    '',
  ].join('\n')
}

/**
 * What a package is called: `bash-5.1.8-6.el9.x86_64` as `rpm -qa` has it; `bash_5.2.15-2+b8_amd64` for Debian and its
 * kin, as its file is named. Neither tells epochs.
 * Source: rpm(8), query format of `-qa`; dpkg-name(1).
 */
export function toPackageName(
  { name, version, architecture }: InstalledPackage,
  family: Family | undefined,
): string {
  const bare = version.replace(/^\d+:/, '')
  if (family === 'redhat' || family === 'suse') return `${name}-${bare}.${architecture}`
  return `${name.replace(/:.*/, '')}_${bare}_${architecture}`
}

/** Fails with TEMPLATE_INVALID. Documents are bounded as templates are, and have no entities of their own. */
export function parseIcicle(text: string): Icicle {
  const root = parseXml(text, 'icicle')
  if ('severity' in root) {
    const { place, message } = root
    throw new Failure('TEMPLATE_INVALID', `icicle:${place.line}:${place.column}: ${message}`)
  }
  if (root.name !== 'icicle') throw wrong(root, 'wanted the root element icicle')
  const [packages, ...others] = elementsOf(root, 'packages')
  if (packages === undefined || others.length > 0)
    throw wrong(
      root,
      `wanted one element packages, found ${others.length === 0 ? 'none' : others.length + 1}`,
    )
  const [description] = elementsOf(root, 'description')
  return {
    description: description && textOf(description),
    packages: elementsOf(packages, 'package').map((one) => {
      const name = one.attributes.find((attribute) => attribute.name === 'name')?.value
      if (name === undefined) throw wrong(one, 'a package without a name')
      const [extra] = elementsOf(one, 'extra')
      return { name, ...(extra && { extra: textOf(extra) }) }
    }),
  }
}

function elementsOf({ children }: XmlElement, name: string): XmlElement[] {
  return children.filter((node) => node.kind === 'element').filter((node) => node.name === name)
}

function textOf({ children }: XmlElement): string {
  return children.map((node) => (node.kind === 'text' ? node.text : '')).join('')
}

function wrong({ place, name }: XmlElement, message: string): Failure {
  return new Failure(
    'TEMPLATE_INVALID',
    `icicle:${place.line}:${place.column}: ${name}: ${message}`,
  )
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

/** For content and attributes; what XML cannot write is replaced. Source: XML 1.0, production 2. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\u{fffd}')
    .replaceAll(/[&<>"\t\n\r]/g, (char) => ENTITIES[char] ?? char)
}
