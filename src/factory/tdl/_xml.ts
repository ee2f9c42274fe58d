/** XML as a tree of elements and texts, each with its place. Comments and processing instructions are left out. */
import { type Attr, DOMParser, type Element, type Node, ParseError } from '@xmldom/xmldom'
import { messageOf } from '../../base/failure.ts'
import type { Place, RecipeFault } from '../../recipes/recipe.ts'
import { guardXml } from './_guard-xml.ts'

export interface XmlAttribute {
  readonly name: string
  readonly value: string
  readonly place: Place
}

export interface XmlElement {
  readonly kind: 'element'
  /** With its prefix, as written. */
  readonly name: string
  readonly namespace: string | null
  readonly attributes: readonly XmlAttribute[]
  readonly children: readonly XmlNode[]
  readonly place: Place
}

export interface XmlText {
  readonly kind: 'text'
  readonly text: string
  readonly place: Place
}

export type XmlNode = XmlElement | XmlText

const ELEMENT = 1
const TEXT = 3
const CDATA = 4
const MAX_REASON = 200

/** The root element, or what is wrong with the text: one thing only, since what follows is its echo. */
export function parseXml(text: string, file: string): XmlElement | RecipeFault {
  const clean = text.replace(/^\ufeff/, '').replaceAll(/\r\n?/g, '\n')
  const problem = guardXml(clean)
  if (problem) {
    const before = clean.slice(0, problem.offset).split('\n')
    const place = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
    return { severity: 'error', place, message: problem.message }
  }
  try {
    const { documentElement } = new DOMParser(OPTIONS).parseFromString(clean, 'text/xml')
    if (documentElement) return new TreeReader(clean, file).toElement(documentElement)
  } catch (error) {
    return toFault(error, file)
  }
  return toFault(undefined, file)
}

/** Line ends are as XML 1.0 wants them already; the parser would have those of XML 1.1. */
const OPTIONS = { onError: stop, normalizeLineEndings: (text: string) => text }

/** At warnings as well: what the parser makes of them is a guess. */
function stop(_level: unknown, message: string): never {
  throw new Error(message)
}

function toFault(error: unknown, file: string): RecipeFault {
  const locator = error instanceof ParseError ? (error.locator as Located | undefined) : undefined
  const told = error === undefined ? 'no element' : (messageOf(error).split('\n')[0] ?? '')
  const reason = told.replace(/^Reporting \w+ .* caused Error: /, '')
  return {
    severity: 'error',
    place: placeOf(locator ?? {}, file),
    message: `this is no well-formed XML: ${reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason}`,
  }
}

type Located = Pick<Node, 'lineNumber' | 'columnNumber'>

function placeOf({ lineNumber, columnNumber }: Located, file: string): Place {
  return { file, line: lineNumber || 1, column: columnNumber || 1 }
}

class TreeReader {
  readonly #lines: readonly string[]
  readonly #file: string

  constructor(text: string, file: string) {
    this.#lines = text.split('\n')
    this.#file = file
  }

  /** No deeper than the guard let through. */
  toElement(element: Element): XmlElement {
    const children: XmlNode[] = []
    for (let node = element.firstChild; node; node = node.nextSibling)
      if (node.nodeType === ELEMENT) children.push(this.toElement(node as Element))
      else if (node.nodeType === TEXT || node.nodeType === CDATA) {
        const text = node.nodeValue ?? ''
        children.push({ kind: 'text', text, place: placeOf(node, this.#file) })
      }
    return {
      kind: 'element',
      name: element.tagName,
      namespace: element.namespaceURI,
      attributes: Array.from(element.attributes, (attribute) => this.#toAttribute(attribute)),
      children,
      place: placeOf(element, this.#file),
    }
  }

  /** The parser knows where its value stands; people look for its name. */
  #toAttribute(attribute: Attr): XmlAttribute {
    const { name, value } = attribute
    const place = placeOf(attribute, this.#file)
    const line = this.#lines[place.line - 1] ?? ''
    const at = line.lastIndexOf(name, Math.max(0, place.column - 2 - name.length))
    return { name, value, place: at < 0 ? place : { ...place, column: at + 1 } }
  }
}
