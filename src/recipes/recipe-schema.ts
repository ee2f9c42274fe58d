/** The shape of a recipe, apart from its steps, whose shapes come from the validators. */
import { cleanTasks } from '../guests/clean-tasks.ts'
import { Type } from '../schema/type.ts'

export const argumentSchema = Type.Object(
  {
    description: Type.Optional(Type.String({ description: 'what it is for; shown by --help' })),
    target_variable: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
        title: 'the name of an environment variable',
        description: 'the environment variable scripts get it in; made from the name when left out',
      }),
    ),
    default: Type.Optional(Type.String({ description: 'its value when none is given' })),
    required: Type.Optional(
      Type.Boolean({ description: 'whether a value must be given; default false' }),
    ),
    choices: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, description: 'the values that are allowed' }),
    ),
    secret: Type.Optional(
      Type.Boolean({ description: 'never shown; given by a file or the environment only' }),
    ),
    hidden: Type.Optional(
      Type.Boolean({ description: 'accepted for recipes of Sahara; without meaning' }),
    ),
  },
  { additionalProperties: false },
)

const taskName = Type.Union(cleanTasks.map(({ name }) => Type.Literal(name)))

const cleanSchema = Type.Union(
  [
    Type.Boolean(),
    Type.Object(
      {
        keep: Type.Optional(
          Type.Array(taskName, { description: 'names of clean-up tasks to leave out' }),
        ),
        also: Type.Optional(
          Type.Array(taskName, {
            description: 'names of clean-up tasks to do although they are off by themselves',
          }),
        ),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'what is cleaned at the end of a build; true, false, or what to keep' },
)

/** `- package: nginx` with `name`, `when` and `on` beside it. */
export const stepSchema = Type.Object({
  name: Type.Optional(Type.String({ description: 'a title for reports' })),
  when: Type.Optional(
    Type.String({
      description: "a condition over args, facts and place, such as args.java == 'openjdk'",
    }),
  ),
  on: Type.Optional(
    Type.Union([Type.Literal('image'), Type.Literal('host')], {
      description: 'only in an image, or only on a running host',
    }),
  ),
})

/** The keys of a recipe that are neither arguments nor steps. */
export const recipeKeys = {
  name: Type.Optional(Type.String({ minLength: 1, description: 'a name for the image' })),
  description: Type.Optional(Type.String({ description: 'what the image is for' })),
  clean: Type.Optional(cleanSchema),
}
