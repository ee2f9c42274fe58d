/**
 * YAML with places. A document becomes plain values plus, for every path in it, the spot where it
 * stands and the text of every plain scalar, so that `version: 1.10` can be taken as written.
 *
 * YAML 1.1, as Sahara's loader reads it (`yes` is true, `<<` merges), except that keys are always
 * texts (so `on:` is a key, not true).
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml'
import { KiB } from '../base/units.ts'
import type { Path } from '../schema/find-faults.ts'
import type { Place, RecipeFault } from './recipe.ts'

const MAX_TEXT = 1024 * KiB
const MAX_DEPTH = 64
/** Values after aliases are followed; a bomb has billions. */
const MAX_VALUES = 100_000
/** YAML errors that are listed; a file that is not YAML may have one in every line. */
const MAX_ERRORS = 20
const TOO_DEEP = `the document is nested deeper than ${MAX_DEPTH} levels`
/** What no YAML document holds. Source: YAML 1.1, 5.1 c-printable. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NOT_TEXT = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/

type Members = Map<string | number, Spot>

interface Spot {
  offset: number
  keyOffset?: number
  /** A plain scalar as written. */
  source?: string
  members?: Members
}

export interface YamlDocument {
  value: unknown
  /** Where a path stands: its value, or with `atKey` its key. The nearest known parent if need be. */
  placeOf(path: Path, atKey?: boolean): Place
  /** A plain (unquoted) scalar as written; undefined for anything else. */
  sourceOf(path: Path): string | undefined
  faults: RecipeFault[]
}

export function parseYaml(text: string, file: string): YamlDocument {
  const faults: RecipeFault[] = []
  const lines = new LineCounter()
  for (const { index } of text.matchAll(/(?<![^\n])/g)) lines.addNewLine(index)
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const fault = (offset: number, message: string) =>
    faults.push({ severity: 'error', place: placeAt(offset), message })
  const nothing = { value: undefined, placeOf: () => placeAt(0), sourceOf: () => undefined, faults }
  const strange = text.search(NOT_TEXT)
  if (text.length > MAX_TEXT)
    fault(0, `the file has ${text.length} characters; wanted at most ${MAX_TEXT}`)
  else if (strange >= 0)
    fault(strange, `a control character stands here; a recipe is YAML, and that is a text`)
  if (faults.length > 0) return nothing

  const document = parseDocument(text, {
    version: '1.1',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    stringKeys: false,
  })
  const errors = [...document.errors, ...document.warnings]
  for (const { pos, message } of errors.slice(0, MAX_ERRORS)) fault(pos[0], explain(message))
  if (errors.length > MAX_ERRORS)
    fault(errors[MAX_ERRORS]?.pos[0] ?? 0, `and ${errors.length - MAX_ERRORS} more like these`)
  if (errors.length > 0) return nothing // what the rest would say is mostly their echo
  try {
    const root: Spot = { offset: 0 }
    const value = new Reader(document, fault, (offset) => placeAt(offset).line).read(root)
    const spotOf = (path: Path) => findSpot(root, path)
    return {
      value,
      placeOf: (path, atKey = false) => {
        const spot = spotOf(path)
        return placeAt(atKey ? (spot.keyOffset ?? spot.offset) : spot.offset)
      },
      sourceOf: (path) => spotOf(path).source,
      faults,
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    fault(error.offset, error.message)
    return nothing
  }
}

/** Makes plain values of a document, and a spot for each. */
class Reader {
  readonly #document: Document.Parsed
  readonly #fault: (offset: number, message: string) => void
  readonly #lineAt: (offset: number) => number
  readonly #targets: ReadonlyMap<Node, Node>
  #values = 0

  constructor(
    document: Document.Parsed,
    fault: (offset: number, message: string) => void,
    lineAt: (offset: number) => number,
  ) {
    this.#document = document
    this.#fault = fault
    this.#lineAt = lineAt
    this.#targets = findTargets(document)
  }

  read(root: Spot): unknown {
    return this.#read(this.#document.contents, root, 0)
  }

  #read(node: unknown, spot: Spot, depth: number): unknown {
    if (++this.#values > MAX_VALUES)
      throw new TooMuch(
        spot.offset,
        `the document has more than ${MAX_VALUES} values once its aliases are followed`,
      )
    if (depth > MAX_DEPTH) throw new TooMuch(spot.offset, TOO_DEEP)
    if (!isNode(node)) return null
    spot.offset = node.range?.[0] ?? spot.offset
    if (isAlias(node)) return this.#follow(node, spot, depth)
    if (isScalar(node)) return readScalar(node, spot)
    if (isMap(node)) return this.#readMap(node, spot, depth)
    if (!isSeq(node)) return undefined
    const members: Members = (spot.members = new Map())
    return node.items.map((item, index) => {
      const member: Spot = { offset: spot.offset }
      members.set(index, member)
      return this.#read(item, member, depth + 1)
    })
  }

  /** What an alias stands for; the spot stays that of the alias. */
  #follow(alias: Alias, spot: Spot, depth: number): unknown {
    const { offset } = spot
    const target = this.#targets.get(alias)
    if (!target) this.#fault(offset, `the alias *${alias.source} names no anchor before it`)
    const value = this.#read(target, spot, depth + 1)
    spot.offset = offset
    return value
  }

  #readMap(node: YAMLMap, spot: Spot, depth: number): Record<string, unknown> {
    const members: Members = (spot.members = new Map())
    const value: Record<string, unknown> = Object.create(null)
    const merged: { value: Record<string, unknown>; spot: Spot }[] = []
    for (const { key, value: item } of node.items) {
      const offset = (isNode(key) ? key.range?.[0] : undefined) ?? spot.offset
      if (!isScalar(key)) {
        this.#fault(offset, 'a key must be a single word or text')
        continue
      }
      const plain = key.type === 'PLAIN' && key.source !== undefined
      const name = plain ? (key.source ?? '') : String(key.value)
      const member: Spot = { offset, keyOffset: offset }
      const content = this.#read(item, member, depth + 1)
      if (plain && name === '<<') {
        for (const [index, source] of (Array.isArray(content) ? content : [content]).entries())
          if (isMapping(source))
            merged.push({ value: source, spot: member.members?.get(index) ?? member })
          else this.#fault(offset, '<< merges mappings, and this is none')
        continue
      }
      const earlier = members.get(name)?.keyOffset
      if (earlier !== undefined)
        this.#fault(
          offset,
          `the key '${name}' stands twice in this mapping; the first is on line ${this.#lineAt(earlier)}`,
        )
      members.set(name, member)
      value[name] = content
    }
    for (const source of merged)
      for (const [name, content] of Object.entries(source.value))
        if (!(name in value)) {
          value[name] = content
          members.set(name, source.spot.members?.get(name) ?? source.spot)
        }
    return value
  }
}

/** What each alias stands for: the last node before it that carries its anchor. */
function findTargets(document: Document.Parsed): ReadonlyMap<Node, Node> {
  const anchors = new Map<string, Node>()
  const targets = new Map<Node, Node>()
  visit(document, (_key, node) => {
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target) targets.set(node, target)
    } else if (isNode(node) && 'anchor' in node && typeof node.anchor === 'string')
      anchors.set(node.anchor, node)
  })
  return targets
}

function readScalar(node: Scalar, spot: Spot): unknown {
  if (node.type === 'PLAIN' && node.source !== undefined) spot.source = node.source
  if (typeof node.value === 'bigint') return Number(node.value)
  return typeof node.value === 'object' && node.value !== null ? node.source : node.value
}

/** The spot of a path, or that of the nearest parent that is known. */
function findSpot(root: Spot, path: Path): Spot {
  let spot = root
  for (const part of path) {
    const member = spot.members?.get(part)
    if (!member) return spot
    spot = member
  }
  return spot
}

/** The document is larger than a recipe can be; reading it is given up. */
class TooMuch extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The YAML library's messages, where ours are clearer. */
function explain(message: string): string {
  const line = message.split('\n')[0] ?? message
  return /call stack/i.test(line) ? TOO_DEEP : line
}
