import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

const URL = '^(https?|file|copy):/[^\\s"\']+$'

export const bootstrapOptions = Type.Object(
  {
    size: Type.Optional(
      Type.String({
        pattern: '^\\d+(\\.\\d+)?\\s*([KMGTkmgt]([iI]?[bB])?)?$',
        title: 'a size such as 4G',
        description: 'size of the disk; left out: what the template says',
      }),
    ),
    args: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'values of the recipe’s arguments, by name',
        secret: true,
      }),
    ),
    mirror: Type.Optional(
      Type.String({
        pattern: URL,
        title: 'a URL such as https://mirror.example/debian',
        description:
          'where packages come from; left out: what the template says, else as this server’s apt is configured',
      }),
    ),
    security_mirror: Type.Optional(
      Type.String({
        pattern: `^none$|${URL}`,
        title: 'a URL such as https://mirror.example/debian-security, or none',
        description: 'where security updates come from; none: from nowhere',
      }),
    ),
    variant: Type.Optional(
      Type.Union([Type.Literal('minbase'), Type.Literal('important'), Type.Literal('standard')], {
        description: 'what is there before any package is named; default minbase',
      }),
    ),
    cloud_init: Type.Optional(
      Type.Boolean({ description: 'whether cloud-init sets a new machine up; default true' }),
    ),
    file_system: Type.Optional(
      Type.Union([Type.Literal('ext4'), Type.Literal('xfs'), Type.Literal('btrfs')], {
        description: 'file system of the root; default ext4',
      }),
    ),
    step_timeout: Type.Optional(
      Type.Number({
        minimum: 1,
        description: 'seconds that one command of a step may take; default 1800',
      }),
    ),
  },
  { additionalProperties: false },
)

export type BootstrapOptions = Static<typeof bootstrapOptions>
