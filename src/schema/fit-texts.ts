/**
 * Takes plain YAML scalars as they are written wherever the schema wants a text: `version: 1.10` is
 * the text `1.10`, not the number 1.1; `choices: [yes, no]` are two words.
 */
import type { TSchema } from 'typebox'
import { findFaults, type Path } from './find-faults.ts'

interface Shape {
  type?: string
  anyOf?: Shape[]
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  additionalProperties?: boolean | Shape
  items?: Shape
}

/** `value`, fitted to the schema; `sourceOf` gives the scalar at a path as written. */
export function fitTexts(
  schema: TSchema,
  value: unknown,
  sourceOf: (path: Path) => string | undefined,
): unknown {
  return fit(schema, value, [], sourceOf)
}

function fit(
  shape: Shape,
  value: unknown,
  path: Path,
  sourceOf: (path: Path) => string | undefined,
): unknown {
  if (shape.anyOf) {
    if (shape.anyOf.some((branch) => findFaults(branch, value).length === 0)) return value
    for (const branch of shape.anyOf) {
      const fitted = fit(branch, value, path, sourceOf)
      if (findFaults(branch, fitted).length === 0) return fitted
    }
    const same = shape.anyOf.find(
      (branch) => branch.type === (Array.isArray(value) ? 'array' : typeof value),
    )
    return same ? fit(same, value, path, sourceOf) : value
  }
  if (shape.type === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return sourceOf(path) ?? String(value)
  if (shape.type === 'array' && Array.isArray(value))
    return value.map((item, index) => fit(shape.items ?? {}, item, [...path, index], sourceOf))
  if (
    shape.type !== 'object' ||
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value)
  )
    return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const pattern = Object.keys(shape.patternProperties ?? {}).find((one) =>
        new RegExp(one, 'u').test(key),
      )
      const other = typeof shape.additionalProperties === 'object' ? shape.additionalProperties : {}
      const own = Object.hasOwn(shape.properties ?? {}, key) ? shape.properties?.[key] : undefined
      const memberShape =
        own ?? (pattern === undefined ? other : (shape.patternProperties?.[pattern] ?? other))
      return [key, fit(memberShape, member, [...path, key], sourceOf)]
    }),
  )
}
