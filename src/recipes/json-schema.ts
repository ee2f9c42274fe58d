/**
 * The JSON Schema (2020-12) of recipes, for editors: made of the same schemas that the parser goes
 * by. Published as schema/recipe.schema.json.
 */
import type { TSchema } from 'typebox'
import { baseSchema, diskSchema } from './base-schema.ts'
import { argumentSchema, recipeKeys, stepSchema } from './recipe-schema.ts'
import type { Validator } from './validator.ts'

type Json = { [key: string]: unknown }

/** The schema of recipes in which these validators may stand. */
export function recipeJsonSchema(validators: readonly Validator[]): Json {
  const schema: Json = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A recipe of Ingot',
    description: 'One declaration that packs, validates, provisions and builds images.',
    type: 'object',
    properties: {
      ...recipeKeys,
      arguments: {
        type: ['object', 'null'],
        description: 'the named inputs of the recipe',
        propertyNames: { pattern: '^[A-Za-z][A-Za-z0-9_.-]*$' },
        additionalProperties: { anyOf: [{ $ref: '#/$defs/argument' }, { type: 'null' }] },
      },
      base: baseSchema,
      disk: diskSchema,
      validators: { $ref: '#/$defs/steps', description: 'the steps, from top to bottom' },
      tests: {
        $ref: '#/$defs/steps',
        description: 'steps that are only ever checked: by validate and by boot-test',
      },
    },
    required: ['validators'],
    additionalProperties: false,
    $defs: {
      argument: argumentSchema,
      steps: { type: 'array', items: { $ref: '#/$defs/step' } },
      step: {
        type: 'object',
        properties: {
          ...stepSchema.properties,
          ...Object.fromEntries(validators.map((one) => [one.name, describe(one)])),
        },
        additionalProperties: false,
        oneOf: validators.map(({ name }) => ({ required: [name] })),
      },
    },
  }
  // Through JSON, so that nothing but data is left of the schemas.
  return widenTexts(JSON.parse(JSON.stringify(schema))) as Json
}

/** A validator's schema, with what editors show when the pointer rests on its name. */
function describe(validator: Validator): TSchema & Json {
  const { summary, description, example, schema } = validator
  const markdown = [
    `**${summary}**`,
    ...(description === undefined ? [] : [description]),
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
  ]
  return { ...schema, description: summary, markdownDescription: markdown.join('\n\n') }
}

/** Ingot takes numbers and yes/no as they are written where a text is wanted; so must the schema. */
function widenTexts(value: unknown, isSchema = true): unknown {
  if (Array.isArray(value)) return value.map((item) => widenTexts(item))
  if (typeof value !== 'object' || value === null) return value
  const isText =
    isSchema && 'type' in value && value.type === 'string' && !('const' in value || 'enum' in value)
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      key === 'type' && isText
        ? ['string', 'number', 'boolean']
        : widenTexts(member, key !== 'properties' && key !== '$defs'),
    ]),
  )
}
