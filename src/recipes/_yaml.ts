/**
 * YAML with places. A document becomes plain values plus, for every path in it, the spot where it
 * stands and the text of every plain scalar, so that `version: 1.10` can be taken as written.
 *
 * YAML 1.1, as Sahara's loader reads it (`yes` is true, `<<` merges), except that keys are always
 * texts (so `on:` is a key, not true).
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { KiB } from '../base/units.ts'
import type { Path } from '../schema/find-faults.ts'
import type { Place, RecipeFault } from './recipe.ts'

const MAX_TEXT = 1024 * KiB
const MAX_DEPTH = 64
/** Values after aliases are followed; a bomb has billions. */
const MAX_VALUES = 100_000

interface Spot {
  offset: number
  keyOffset?: number
  /** A plain scalar as written. */
  source?: string
  members?: Map<string | number, Spot>
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
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const fault = (offset: number, message: string) =>
    faults.push({ severity: 'error', place: placeAt(offset), message })
  if (text.length > MAX_TEXT) {
    fault(0, `the file has ${text.length} characters; wanted at most ${MAX_TEXT}`)
    return { value: undefined, placeOf: () => placeAt(0), sourceOf: () => undefined, faults }
  }
  const document = parseDocument(text, {
    version: '1.1',
    lineCounter: lines,
    uniqueKeys: false,
    keepSourceTokens: false,
    logLevel: 'silent',
    stringKeys: false,
  })
  for (const error of [...document.errors, ...document.warnings])
    fault(error.pos[0], firstLine(error.message))

  let values = 0
  const read = (node: Node | null, spot: Spot, depth: number): unknown => {
    if (++values > MAX_VALUES || depth > MAX_DEPTH) {
      if (values <= MAX_VALUES + 1)
        fault(
          spot.offset,
          values > MAX_VALUES
            ? `the document has more than ${MAX_VALUES} values once its aliases are followed`
            : `the document is nested deeper than ${MAX_DEPTH} levels`,
        )
      values = Math.max(values, MAX_VALUES + 1)
      return undefined
    }
    if (node === null) return null
    spot.offset = node.range?.[0] ?? spot.offset
    if (isAlias(node)) {
      const target = node.resolve(document)
      const offset = spot.offset
      if (!target) fault(offset, `the alias *${node.source} names no anchor`)
      const value = read((target as Node | undefined) ?? null, spot, depth + 1)
      spot.offset = offset
      return value
    }
    if (isScalar(node)) {
      if (node.type === 'PLAIN' && node.source !== undefined) spot.source = node.source
      return node.value instanceof Date
        ? node.source
        : typeof node.value === 'bigint'
          ? Number(node.value)
          : node.value
    }
    if (isSeq(node)) {
      const members = (spot.members = new Map())
      return node.items.map((item, index) => {
        const member: Spot = { offset: spot.offset }
        members.set(index, member)
        return read(item as Node | null, member, depth + 1)
      })
    }
    return isMap(node) ? readMap(node, spot, depth) : undefined
  }

  const readMap = (node: YAMLMap, spot: Spot, depth: number): Record<string, unknown> => {
    const members: Map<string | number, Spot> = (spot.members = new Map())
    const value: Record<string, unknown> = Object.create(null)
    const merged: Record<string, unknown>[] = []
    for (const { key, value: item } of node.items) {
      const keyNode = key as Node | null
      const offset = keyNode?.range?.[0] ?? spot.offset
      if (!isScalar(keyNode)) {
        fault(offset, 'a key must be a plain text')
        continue
      }
      const name =
        keyNode.type === 'PLAIN' && keyNode.source !== undefined
          ? keyNode.source
          : String(keyNode.value)
      const member: Spot = { offset, keyOffset: offset }
      const content = read(item as Node | null, member, depth + 1)
      if (name === '<<' && keyNode.type === 'PLAIN') {
        for (const source of Array.isArray(content) ? content : [content])
          if (typeof source === 'object' && source !== null)
            merged.push(source as Record<string, unknown>)
        continue
      }
      const earlier = members.get(name)
      if (earlier)
        fault(
          offset,
          `the key '${name}' stands twice in this mapping; the first is on line ${placeAt(earlier.keyOffset ?? 0).line}`,
        )
      members.set(name, member)
      value[name] = content
    }
    for (const source of merged)
      for (const [name, content] of Object.entries(source))
        if (!Object.hasOwn(value, name)) value[name] = content
    return value
  }

  const root: Spot = { offset: 0 }
  const value = document.contents === null ? null : read(document.contents, root, 0)
  const spotOf = (path: Path): Spot => {
    let spot = root
    for (const part of path) {
      const member = spot.members?.get(part)
      if (!member) return spot
      spot = member
    }
    return spot
  }
  return {
    value,
    placeOf: (path, atKey = false) => {
      const spot = spotOf(path)
      return placeAt(atKey ? (spot.keyOffset ?? spot.offset) : spot.offset)
    },
    sourceOf: (path) => spotOf(path).source,
    faults,
  }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, '')
}
