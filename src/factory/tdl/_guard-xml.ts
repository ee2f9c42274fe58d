/**
 * A first look at XML, before a parser spends time and memory on it: no document type (so no entities of anyone's
 * making), no nesting without end, no multitudes, and nothing that is XML only to a lenient parser.
 */
import { MiB } from '../../base/units.ts'

/** Characters of one template with all that it includes. */
export const MAX_TEMPLATE = 1 * MiB
const MAX_DEPTH = 32
const MAX_PARTS = 20_000

/** Something wrong at an offset of the text. */
export interface XmlProblem {
  readonly offset: number
  readonly message: string
}

/** What may stand in a document. Source: XML 1.0, production 2. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NOT_XML = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/u
/** Source: XML 1.0, productions 23 and 80. */
const DECLARATION =
  /^<\?xml\s+version\s*=\s*(["'])1\.\d+\1(?:\s+encoding\s*=\s*(["'])([A-Za-z][\w.-]*)\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>/
const TAG = /<\/?[^\s<>"'/!?][^<>"']*(?:"[^"<]*"[^<>"']*|'[^'<]*'[^<>"']*)*>/y
const REFERENCE = /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));/y

/** The first reason not to read on; undefined if there is none. */
export function guardXml(text: string): XmlProblem | undefined {
  if (text.length > MAX_TEMPLATE)
    return {
      offset: 0,
      message: `wanted at most ${MAX_TEMPLATE} characters, found ${text.length}`,
    }
  if (!text.trimStart().startsWith('<'))
    return { offset: 0, message: 'wanted XML, which begins with <template>' }
  const strange = text.search(NOT_XML)
  if (strange >= 0)
    return {
      offset: strange,
      message: `the character U+${(text.codePointAt(strange) ?? 0).toString(16).toUpperCase().padStart(4, '0')} cannot stand in XML`,
    }
  return guardDeclaration(text) ?? guardMarkup(text)
}

function guardDeclaration(text: string): XmlProblem | undefined {
  if (!/^<\?xml\s/.test(text)) return undefined
  const match = DECLARATION.exec(text)
  if (!match) return { offset: 0, message: 'wanted <?xml version="1.0" encoding="UTF-8"?>' }
  const encoding = match[3] ?? 'UTF-8'
  return /^(utf-?8|us-ascii)$/i.test(encoding)
    ? undefined
    : {
        offset: text.indexOf(encoding),
        message: `wanted a template in UTF-8, found the encoding ${encoding}`,
      }
}

function guardMarkup(text: string): XmlProblem | undefined {
  let depth = 0
  let parts = 0
  let at = 0
  while (at < text.length) {
    const next = text.indexOf('<', at)
    const end = next < 0 ? text.length : next
    const between = text.slice(at, end)
    const problem = guardReferences(between, at)
    if (problem) return problem
    const close = between.indexOf(']]>')
    if (close >= 0)
      return { offset: at + close, message: 'wanted ]]&gt;, since ]]> ends CDATA sections only' }
    if (next < 0) return undefined
    const markup = readMarkup(text, next)
    if ('message' in markup) return markup
    depth += markup.deeper
    if (depth < 0) return { offset: next, message: 'here ends an element that did not begin' }
    parts += markup.parts
    if (depth > MAX_DEPTH)
      return { offset: next, message: `elements are nested deeper than ${MAX_DEPTH} levels` }
    if (parts > MAX_PARTS)
      return { offset: next, message: `more than ${MAX_PARTS} elements and attributes` }
    at = markup.end
  }
  return undefined
}

/** In character data, or in a tag, that begins at `offset`. */
function guardReferences(text: string, offset: number): XmlProblem | undefined {
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) {
    REFERENCE.lastIndex = at
    const [, name, decimal, hexadecimal] = REFERENCE.exec(text) ?? []
    if (name !== undefined) continue
    const code = decimal ? Number(decimal) : Number.parseInt(hexadecimal ?? '', 16)
    if (Number.isNaN(code))
      return {
        offset: offset + at,
        message:
          'wanted &amp; &lt; &gt; &quot; &apos; or a character such as &#233; (a plain & is written &amp;)',
      }
    if (code > 0x10ffff || NOT_XML.test(String.fromCodePoint(code)))
      return { offset: offset + at, message: 'this character reference is no character of XML' }
  }
  return undefined
}

interface Markup {
  readonly end: number
  readonly deeper: -1 | 0 | 1
  readonly parts: number
}

/** Comments, sections and instructions, by what they begin and end with. */
const SPANS = [
  ['<!--', '-->', 'comment'],
  ['<![CDATA[', ']]>', 'CDATA section'],
  ['<?', '?>', 'processing instruction'],
] as const

function readMarkup(text: string, at: number): Markup | XmlProblem {
  for (const [begin, end, name] of SPANS)
    if (text.startsWith(begin, at)) {
      const found = text.indexOf(end, at + begin.length)
      return found < 0
        ? { offset: at, message: `this ${name} has no end (${end})` }
        : { end: found + end.length, deeper: 0, parts: 0 }
    }
  if (text.startsWith('<!', at))
    return {
      offset: at,
      message: 'a template has no document type (<!DOCTYPE), no entities and no declarations',
    }
  TAG.lastIndex = at
  const tag = TAG.exec(text)?.[0]
  if (tag === undefined)
    return { offset: at, message: 'wanted a tag such as <name>; a plain < is written &lt;' }
  const problem = guardReferences(tag, at)
  if (problem) return problem
  const isEnd = tag.startsWith('</')
  const isEmpty = tag.endsWith('/>')
  const attributes = tag.split('=').length - 1
  return { end: at + tag.length, deeper: isEnd ? -1 : isEmpty ? 0 : 1, parts: 1 + attributes }
}
