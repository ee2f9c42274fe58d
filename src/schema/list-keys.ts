/** Schemas as documentation: the keys of a mapping, what each takes, and what it means. */
import type { TSchema } from 'typebox'

export interface KeyRow {
  /** `path`; within a nested mapping `key.url`, below any name `NAME.version`, in a list `items[].name`. */
  key: string
  /** What may stand there, in words. */
  value: string
  required: boolean
  meaning: string
}

/** A schema as plain data: what TypeBox's types look like at run time. */
interface Shape {
  type?: string
  anyOf?: Shape[]
  const?: unknown
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  additionalProperties?: boolean | Shape
  required?: string[]
  items?: Shape
  title?: string
  description?: string
  default?: unknown
}

/** Every key that a value of this shape may have, those of nested mappings after their own. */
export function listKeys(schema: TSchema): KeyRow[] {
  const rows = new Map<string, KeyRow>()
  for (const row of rowsOf(schema, '')) if (!rows.has(row.key)) rows.set(row.key, row)
  return [...rows.values()]
}

function rowsOf(shape: Shape, prefix: string): KeyRow[] {
  if (shape.anyOf) return shape.anyOf.flatMap((branch) => rowsOf(branch, prefix))
  if (shape.items) return rowsOf(shape.items, prefix === '' ? '' : `${prefix.slice(0, -1)}[].`)
  const named = Object.entries(shape.properties ?? {}).flatMap(([key, member]) => [
    {
      key: prefix + key,
      value: nameShape(member),
      required: member.default === undefined && (shape.required?.includes(key) ?? false),
      meaning: member.description ?? '',
    },
    ...rowsOf(member, `${prefix}${key}.`),
  ])
  const others = Object.values(shape.patternProperties ?? {})
  return [...named, ...others.flatMap((member) => rowsOf(member, `${prefix}NAME.`))]
}

/** What may stand in a place of this shape, in words: `a text`, `a list of texts`, `on or off`. */
export function nameShape(shape: TSchema): string {
  return nameOf(shape)
}

function nameOf({ anyOf, title, type, items, patternProperties, const: only }: Shape): string {
  if (anyOf) return joinOr([...new Set(anyOf.map(nameOf))])
  if (only !== undefined) return `\`${typeof only === 'string' ? only : JSON.stringify(only)}\``
  if (title !== undefined) return title
  if (items) return `list: ${nameOf(items)}`
  const [member] = Object.values(patternProperties ?? {})
  if (member) return `mapping of names to ${nameOf(member)}`
  const names: Readonly<Record<string, string>> = {
    object: 'mapping',
    array: 'list',
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: 'true or false',
    null: 'nothing',
  }
  return names[type ?? ''] ?? 'anything'
}

function joinOr(names: readonly string[]): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} or ${last}`
}
