/** A provider's definition or credentials as users give them: JSON, or Image Factory's XML. */
import { DOMParser, type Element } from '@xmldom/xmldom'
import { Failure, messageOf } from '../base/failure.ts'
import type { JsonObject } from './factory-image.ts'

const MAX_SIZE = 256 * 1024
const MAX_DEPTH = 8
const ELEMENT = 1
const TEXT: ReadonlySet<number> = new Set([3, 4])

/**
 * A flat object of what is in it. XML's `<provider_credentials><openstack_credentials><username>…` becomes
 * `{ username }`; attributes count as elements do. An object is taken as it is; `openstack_credentials` around it too.
 *
 * Fails with REQUEST_INVALID: neither, too large, or an XML with a document type. What is in it is never told.
 */
export function parseProvider(given: unknown, what: 'definition' | 'credentials'): JsonObject {
  if (typeof given !== 'string') return unwrap(asObject(given, what), what)
  if (given.length > MAX_SIZE) throw refused(what, `it has more than ${MAX_SIZE} characters`)
  const text = given.trim()
  if (text.startsWith('<')) return parseXml(text, what)
  try {
    return unwrap(asObject(JSON.parse(text), what), what)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw refused(what, 'it is neither JSON nor XML')
  }
}

function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(what, 'it is no object')
  const text = JSON.stringify(value)
  if (text.length > MAX_SIZE) throw refused(what, `it has more than ${MAX_SIZE} characters`)
  return JSON.parse(text) as JsonObject
}

/** Without `provider_credentials` and `…_credentials` around it. */
function unwrap(value: JsonObject, what: string, depth = 0): JsonObject {
  const [only, ...others] = Object.entries(value)
  if (only === undefined || others.length > 0 || depth > MAX_DEPTH) return value
  const [name, inner] = only
  const isWrapped = /^(provider|provider_credentials|.*_credentials)$/.test(name)
  if (!isWrapped || typeof inner !== 'object' || inner === null || Array.isArray(inner))
    return value
  return unwrap(asObject(inner, what), what, depth + 1)
}

function parseXml(text: string, what: string): JsonObject {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw refused(what, 'it has a document type')
  let root: Element | null
  try {
    const parser = new DOMParser({
      onError: (_level, message) => {
        throw new Error(message)
      },
    })
    root = parser.parseFromString(text, 'text/xml').documentElement
  } catch (error) {
    throw refused(what, `it is no well-formed XML (${placeOf(messageOf(error))})`)
  }
  if (root === null) throw refused(what, 'it is empty')
  const found: Record<string, string> = {}
  collect(root, found, what, 0)
  return found
}

/** Leaves by their names, and attributes. A name that comes twice would hide one of the two. */
function collect(
  element: Element,
  found: Record<string, string>,
  what: string,
  depth: number,
): void {
  if (depth > MAX_DEPTH) throw refused(what, `its elements are nested more than ${MAX_DEPTH} deep`)
  const add = (name: string, value: string) => {
    if (Object.hasOwn(found, name)) throw refused(what, `'${name.slice(0, 100)}' is in it twice`)
    Object.defineProperty(found, name, { value, enumerable: true })
  }
  for (const { name, value } of Array.from(element.attributes))
    if (!name.startsWith('xmlns')) add(name, value)
  const inner = Array.from(element.childNodes).filter(
    (node): node is Element => node.nodeType === ELEMENT,
  )
  for (const child of inner) collect(child, found, what, depth + 1)
  if (inner.length > 0 || depth === 0) return
  const texts = Array.from(element.childNodes).filter(({ nodeType }) => TEXT.has(nodeType))
  const value = texts.map(({ nodeValue }) => nodeValue ?? '').join('')
  if (value.trim() !== '' || element.attributes.length === 0) add(element.tagName, value.trim())
}

/** Where the fault is, without the text around it. */
function placeOf(message: string): string {
  const [, line, column] = /line:?\s*(\d+).*?col(?:umn)?:?\s*(\d+)/i.exec(message) ?? []
  return line === undefined ? 'it ends too soon' : `line ${line}, column ${column}`
}

function refused(what: string, why: string): Failure {
  return new Failure('REQUEST_INVALID', `the provider's ${what} cannot be read: ${why}`)
}
