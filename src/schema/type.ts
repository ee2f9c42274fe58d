/**
 * The makers of schemas: TypeBox's own, as far as we use them, and typed by it, but made here. To load
 * TypeBox is to load some 370 files, which took half of the time that a command needs to start. What
 * both make is compared by a test.
 */
import type { Type as TypeBox } from 'typebox'

type Maker = 'Array' | 'Boolean' | 'Integer' | 'Literal' | 'Null' | 'Number' | 'Object' | 'Optional'
type More = 'Record' | 'String' | 'Union' | 'Unsafe'
type Makers = Pick<typeof TypeBox, Maker | More>

interface Schema {
  [key: string]: unknown
}

/** TypeBox's own mark of what may be left out, so that its schemas and ours can stand in each other. */
const OPTIONAL = '~optional'

const typed = (type: string) => (options: Schema) => ({ type, ...options })

const makers = {
  Boolean: typed('boolean'),
  Integer: typed('integer'),
  Null: typed('null'),
  Number: typed('number'),
  String: typed('string'),
  Literal: (value: unknown, options: Schema) => ({ type: typeof value, const: value, ...options }),
  Union: (anyOf: readonly Schema[], options: Schema) => ({ anyOf, ...options }),
  Array: (items: Schema, options: Schema) => ({ type: 'array', items, ...options }),
  Object: (properties: Record<string, Schema>, options: Schema) => {
    const required = Object.keys(properties).filter((key) => !isOptional(properties[key]))
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...options }
  },
  Record: ({ pattern = '^.*$' }: { pattern?: string }, member: Schema, options: Schema) => ({
    type: 'object',
    patternProperties: { [pattern]: member },
    ...options,
  }),
  Optional: (schema: Schema) =>
    Object.defineProperty({ ...schema }, OPTIONAL, { value: true, enumerable: false }),
  Unsafe: (schema: Schema) => schema,
}

function isOptional(schema: object | undefined): boolean {
  return schema !== undefined && OPTIONAL in schema
}

/** `Type.Object({ name: Type.String() })`, as in TypeBox's manual. */
// TypeBox's types hold what no value shows, so ours cannot be found to fit; a test compares what both make.
export const Type = makers as unknown as Makers
