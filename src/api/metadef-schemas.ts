/**
 * The shapes of metadata definitions on the wire, and the documents under `/v2/schemas/metadefs` in which
 * clients read them. Source: the Image API v2.
 */
import type { Static, TSchema } from 'typebox'
import { Type } from '../schema/type.ts'

const strict = { additionalProperties: false } as const
const name80 = (description: string) => Type.String({ minLength: 1, maxLength: 80, description })
const text255 = (description: string) => Type.String({ maxLength: 255, description })
const text500 = (description: string) =>
  Type.Union([Type.String({ maxLength: 500 }), Type.Null()], { description })
const readOnly = (schema: TSchema) => ({ ...schema, readOnly: true })
const dated = {
  created_at: Type.Optional(
    readOnly(Type.String({ format: 'date-time', description: 'Date and time of creation' })),
  ),
  updated_at: Type.Optional(
    readOnly(Type.String({ format: 'date-time', description: 'Date and time of the last change' })),
  ),
}
const linked = {
  self: Type.Optional(readOnly(Type.String({ description: 'Address of this' }))),
  schema: Type.Optional(readOnly(Type.String({ description: 'Address of its schema' }))),
}
const PROPERTY_TYPES = [
  'array',
  'boolean',
  'integer',
  'number',
  'object',
  'string',
  'null',
] as const
const operators = ['<in>', '<or>', '<all-in>', '==', '!=', '>=', '<=', 's==', 's!=', 's>=', 's<=']

/** What a property is, by a subset of JSON Schema. */
const propertyBody = {
  title: Type.String({ minLength: 1, description: 'Its name for people' }),
  description: Type.Optional(Type.String()),
  type: Type.Union(PROPERTY_TYPES.map((type) => Type.Literal(type))),
  operators: Type.Optional(Type.Array(Type.String(), { description: operators.join(' ') })),
  readonly: Type.Optional(Type.Boolean()),
  required: Type.Optional(Type.Array(Type.String())),
  minimum: Type.Optional(Type.Number()),
  maximum: Type.Optional(Type.Number()),
  minLength: Type.Optional(Type.Integer({ minimum: 0 })),
  maxLength: Type.Optional(Type.Integer({ minimum: 0 })),
  pattern: Type.Optional(Type.String()),
  enum: Type.Optional(Type.Array(Type.Unsafe<unknown>({}))),
  items: Type.Optional(
    Type.Object({
      type: Type.Optional(Type.Union(PROPERTY_TYPES.map((type) => Type.Literal(type)))),
      enum: Type.Optional(Type.Array(Type.Unsafe<unknown>({}))),
    }),
  ),
  uniqueItems: Type.Optional(Type.Boolean()),
  minItems: Type.Optional(Type.Integer({ minimum: 0 })),
  maxItems: Type.Optional(Type.Integer({ minimum: 0 })),
  additionalItems: Type.Optional(Type.Boolean()),
  default: Type.Optional(Type.Unsafe<unknown>({})),
}
const propertyInside = Type.Object(propertyBody, strict)

export const propertySchema = Type.Object({ name: name80('Its name'), ...propertyBody }, strict)

export const objectSchema = Type.Object(
  {
    name: name80('Its name'),
    description: Type.Optional(text500('What it is for')),
    required: Type.Optional(Type.Array(Type.String())),
    properties: Type.Optional(Type.Record(Type.String(), propertyInside)),
    ...linked,
    ...dated,
  },
  strict,
)

export const tagSchema = Type.Object({ name: name80('Its name'), ...dated }, strict)

export const tagsSchema = Type.Object(
  { tags: Type.Array(Type.Object({ name: name80('Its name') }, strict)) },
  strict,
)

export const resourceTypeSchema = Type.Object(
  {
    name: name80('As OpenStack Heat calls the type where it can: OS::Glance::Image'),
    prefix: Type.Optional(
      Type.Union([Type.String({ maxLength: 80 }), Type.Null()], {
        description: 'Stands before the names of properties on such resources, its separator too',
      }),
    ),
    properties_target: Type.Optional(
      Type.Union([Type.String({ maxLength: 80 }), Type.Null()], {
        description: 'Where the properties go, if a resource has several places for them',
      }),
    ),
    ...dated,
  },
  strict,
)

export const namespaceSchema = Type.Object(
  {
    namespace: name80('Its unique name'),
    display_name: Type.Optional(
      Type.Union([Type.String({ maxLength: 80 }), Type.Null()], {
        description: 'Its name for people',
      }),
    ),
    description: Type.Optional(text500('What it is for')),
    visibility: Type.Optional(
      Type.Union([Type.Literal('public'), Type.Literal('private')], {
        description: 'Who sees it: everyone, or its project',
      }),
    ),
    protected: Type.Optional(Type.Boolean({ description: 'It cannot be deleted' })),
    owner: Type.Optional(text255('The project it belongs to')),
    properties: Type.Optional(Type.Record(Type.String(), propertyInside)),
    objects: Type.Optional(Type.Array(objectSchema)),
    tags: Type.Optional(Type.Array(tagSchema)),
    resource_type_associations: Type.Optional(Type.Array(resourceTypeSchema)),
    ...linked,
    ...dated,
  },
  strict,
)

export type WireProperty = Static<typeof propertySchema>
export type WireObject = Static<typeof objectSchema>
export type WireTag = Static<typeof tagSchema>
export type WireResourceType = Static<typeof resourceTypeSchema>
export type WireNamespace = Static<typeof namespaceSchema>

/** The documents, by the last part of their address. */
export const METADEF_SCHEMAS: Readonly<Record<string, object>> = {
  namespace: named('namespace', namespaceSchema),
  namespaces: collection('namespaces', namespaceSchema),
  property: named('property', propertySchema),
  properties: {
    ...collection('properties', propertySchema),
    properties: {
      properties: { type: 'object', additionalProperties: propertySchema },
    },
  },
  object: named('object', objectSchema),
  objects: collection('objects', objectSchema),
  tag: named('tag', tagSchema),
  tags: collection('tags', tagSchema),
  resource_type: named('resource_type_association', resourceTypeSchema),
  resource_types: {
    name: 'resource_type_associations',
    properties: {
      resource_type_associations: { type: 'array', items: resourceTypeSchema },
    },
    links: [],
  },
}

function named(name: string, { type: _type, ...schema }: { type?: unknown }): object {
  return { name, ...schema }
}

function collection(name: string, items: TSchema): object {
  const link = { type: 'string' }
  return {
    name,
    properties: { [name]: { type: 'array', items }, first: link, next: link, schema: link },
    links: [
      { rel: 'first', href: '{first}' },
      { rel: 'next', href: '{next}' },
      { rel: 'describedby', href: '{schema}' },
    ],
  }
}
