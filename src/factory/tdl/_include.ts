/**
 * XInclude: parts of a template in files of their own, below the directory of the template. How deep, how many and
 * how large they may be together is bounded. Source: W3C, XML Inclusions 1.0 (2nd edition).
 */
import { posix } from 'node:path'
import { messageOf } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import { attributeOf, type Faults } from './_check.ts'
import { MAX_TEMPLATE } from './_guard-xml.ts'
import { parseXml, type XmlElement, type XmlNode } from './_xml.ts'
import type { ParseTdlOptions } from './parse-tdl.ts'

const XINCLUDE = 'http://www.w3.org/2001/XInclude'
const MAX_DEPTH = 8
const MAX_INCLUDES = 200
const ATTRIBUTES = ['href', 'parse', 'encoding', 'accept', 'accept-language', 'xpointer']

/** Where an inclusion stands: the file, from the template's directory, and those that lead to it. */
interface Origin {
  readonly path: string
  readonly chain: readonly string[]
}

/** The tree with everything that it includes in its place; undefined if there is nothing left of it. */
export function includeAll(
  root: XmlElement,
  length: number,
  options: ParseTdlOptions,
  faults: Faults,
): XmlElement | undefined {
  const [first, ...more] = new Includer(length, options, faults)
    .resolve(root, { path: '', chain: [] })
    .filter((node) => node.kind === 'element')
  if (first === undefined && !faults.some)
    faults.error(root.place, 'wanted an element <template> in place of this, found none')
  if (more[0]) faults.error(more[0].place, 'wanted one element <template>, found another one')
  return first
}

class Includer {
  readonly #options: ParseTdlOptions
  readonly #faults: Faults
  #length: number
  #count = 0

  constructor(length: number, options: ParseTdlOptions, faults: Faults) {
    this.#length = length
    this.#options = options
    this.#faults = faults
  }

  /** What stands in the place of a node. */
  resolve(node: XmlNode, origin: Origin): readonly XmlNode[] {
    if (node.kind === 'text') return [node]
    if (node.namespace === XINCLUDE) return this.#include(node, origin)
    return [{ ...node, attributes: withoutNames(node), children: this.#below(node, origin) }]
  }

  #below(element: XmlElement, origin: Origin): readonly XmlNode[] {
    return element.children.flatMap((child) => this.resolve(child, origin))
  }

  #include(element: XmlElement, origin: Origin): readonly XmlNode[] {
    const { place } = element
    const fail = (message: string): readonly XmlNode[] => {
      this.#faults.error(place, message)
      return []
    }
    const problem = this.#problemOf(element)
    if (problem !== undefined) return fail(problem)
    const path = pathOf(attributeOf(element, 'href') ?? '', origin.path)
    if ('problem' in path) return fail(path.problem)
    if (origin.chain.includes(path.found)) return fail(`'${path.found}' includes itself`)
    if (origin.chain.length >= MAX_DEPTH) return fail(`wanted at most ${MAX_DEPTH} files deep`)
    if (++this.#count > MAX_INCLUDES) return fail(`wanted at most ${MAX_INCLUDES} inclusions`)
    const text = this.#read(element, path.found)
    if ('cause' in text) {
      const fallback = element.children.find(isFallback)
      return fallback ? this.#below(fallback, origin) : fail(text.cause)
    }
    this.#length += text.text.length
    if (this.#length > MAX_TEMPLATE)
      return fail(`wanted at most ${MAX_TEMPLATE} characters with all that is included`)
    if (attributeOf(element, 'parse') === 'text') return [{ kind: 'text', text: text.text, place }]
    const root = parseXml(text.text, posix.join(posix.dirname(this.#options.file), path.found))
    if (!('severity' in root))
      return this.resolve(root, { path: path.found, chain: [...origin.chain, path.found] })
    this.#faults.error(root.place, root.message)
    return []
  }

  /** Why an inclusion is none. */
  #problemOf(element: XmlElement): string | undefined {
    const { name, attributes } = element
    const local = name.slice(name.indexOf(':') + 1)
    if (local !== 'include')
      return local === 'fallback'
        ? `<${name}> stands in an include only`
        : `<${name}> is nothing of XInclude; wanted include`
    for (const attribute of withoutNames(element))
      if (!attributes.includes(attribute) || !ATTRIBUTES.includes(attribute.name))
        return `<${name}> has no attribute '${attribute.name}'${didYouMean(attribute.name, ATTRIBUTES)}`
    if (attributeOf(element, 'xpointer') !== undefined)
      return `<${name}>: whole files are included, not parts by xpointer`
    const parse = attributeOf(element, 'parse') ?? 'xml'
    if (parse !== 'xml' && parse !== 'text')
      return `<${name}>: wanted parse="xml" or parse="text", found "${parse}"`
    if (!attributeOf(element, 'href')) return `<${name}> lacks its attribute 'href'`
    const strange = element.children.find(
      (child) => child.kind === 'element' && child.namespace === XINCLUDE && !isFallback(child),
    )
    if (strange || element.children.filter(isFallback).length > 1)
      return `<${name}> holds one fallback at most, and nothing else of XInclude`
    return undefined
  }

  #read(element: XmlElement, path: string): { text: string } | { cause: string } {
    const encoding = attributeOf(element, 'encoding') ?? 'utf-8'
    try {
      if (!this.#options.readResource) throw new Error('no files were given with this template')
      const bytes = this.#options.readResource(path)
      return { text: new TextDecoder(encoding, { fatal: true }).decode(bytes) }
    } catch (error) {
      return { cause: `'${path}' cannot be included: ${messageOf(error)}` }
    }
  }
}

function isFallback(node: XmlNode): node is XmlElement {
  return node.kind === 'element' && node.namespace === XINCLUDE && /(^|:)fallback$/.test(node.name)
}

/** Declarations of name spaces are no attributes of the template. */
function withoutNames(element: XmlElement): XmlElement['attributes'] {
  return element.attributes.filter(
    ({ name, value }) => !(/^xmlns(:|$)/.test(name) && value === XINCLUDE),
  )
}

/** The file that an address names, from the template's directory, seen from another file there. */
function pathOf(href: string, from: string): { found: string } | { problem: string } {
  const problem = `href="${href.slice(0, 200)}": wanted the path of a file in the template's directory or below it`
  if (/^[a-z][a-z0-9+.-]*:|^\/|[\\?#\0]/i.test(href)) return { problem }
  let plain: string
  try {
    plain = decodeURIComponent(href)
  } catch {
    return { problem }
  }
  const found = posix.join(posix.dirname(from), plain)
  return plain.includes('\0') || found.split('/')[0] === '..' || found === '.'
    ? { problem }
    : { found }
}
