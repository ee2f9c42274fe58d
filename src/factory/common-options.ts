/** Parameters that every OS builder and cloud target takes, whatever its own options are. */
import type { Static } from 'typebox'
import { Type } from '../schema/type.ts'

export const commonOptions = Type.Object({
  builder: Type.Optional(Type.String({ maxLength: 100, description: 'the OS builder to use' })),
  callbacks: Type.Optional(
    Type.Array(Type.String({ maxLength: 2000 }), {
      maxItems: 10,
      description: 'addresses to which the record is PUT whenever its status changes',
    }),
  ),
  timeout: Type.Optional(
    Type.Number({ minimum: 1, maximum: 604_800, description: 'seconds that the stage may take' }),
  ),
  timeouts: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: 1, maximum: 604_800 }), {
      description: 'seconds that a phase may take, by its name',
    }),
  ),
})

export type CommonOptions = Static<typeof commonOptions>
