/** Settings of the image factory: the section `factory` of the configuration. */
import type { Static } from 'typebox'
import { MiB } from '../base/units.ts'
import { Type } from '../schema/type.ts'

const strict = { additionalProperties: false } as const
const unknowns = (description: string) =>
  Type.Record(Type.String(), Type.Unsafe<unknown>({}), { description })

export const factorySettings = Type.Object(
  {
    builder: Type.Optional(
      Type.String({
        description: 'the OS builder that is used when none is named; left out: the first that can',
      }),
    ),
    concurrency: Type.Record(Type.String(), Type.Integer({ minimum: 1 }), {
      description: 'jobs at a time in one server, by OS builder or cloud target',
    }),
    work_dir: Type.Optional(
      Type.String({
        description: 'for disks that are being built; left out: data_dir/factory',
      }),
    ),
    job_timeout_s: Type.Integer({
      minimum: 1,
      description: 'seconds that one stage may take, unless its parameters say otherwise',
    }),
    max_under_way: Type.Integer({
      minimum: -1,
      description:
        'images of one project that may be waiting for their turn or in work; -1: any number',
    }),
    max_log_size: Type.Integer({
      minimum: 64 * 1024,
      description: 'bytes of log and console that are kept of one image',
    }),
    require_root_password: Type.Boolean({
      description: 'refuse a TDL without rootpw (upstream: tdl_require_root_pw)',
    }),
    target_content: Type.Optional(
      Type.String({
        description: 'file of packages that are put into target images (target_content.xml)',
      }),
    ),
    trusted: Type.Boolean({
      description:
        'this host mounts images that the factory made to work on them: quicker, and as safe as those who order builds',
    }),
    providers: Type.Record(
      Type.String(),
      Type.Object(
        {
          target: Type.String({ description: 'the cloud target that pushes there' }),
          options: Type.Optional(unknowns('its definition; see docs/targets.md')),
          credentials: Type.Optional(unknowns('secrets of the account there')),
        },
        strict,
      ),
      { description: 'clouds that images are pushed to, by name', secret: true },
    ),
    remotes: Type.Record(
      Type.String(),
      Type.Object(
        {
          endpoint: Type.String({ description: 'base address of the other Ingot' }),
          token: Type.Optional(Type.String({ description: 'for X-Auth-Token', secret: true })),
        },
        strict,
      ),
      { description: 'other Ingots that builds are handed to, by name', secret: true },
    ),
    oauth_clients: Type.Record(Type.String(), Type.String(), {
      description: 'consumer keys and secrets of /imagefactory (OAuth 1.0); none: as all else',
      secret: true,
    }),
    callback_hosts: Type.Array(Type.String(), {
      description: 'hosts with private addresses that callbacks may go to',
    }),
    private_hosts: Type.Array(Type.String(), {
      description:
        'hosts with private addresses, by name or number, that this host asks for orders, and guests reach: mirrors, media, clouds',
    }),
    secret_key_file: Type.Optional(
      Type.String({
        description:
          'key that seals credentials until they were used; the same on all servers; left out: one in data_dir',
      }),
    ),
  },
  strict,
)

export type FactoryConfig = Readonly<Static<typeof factorySettings>>

export function factoryDefaults(): FactoryConfig {
  return {
    concurrency: {},
    job_timeout_s: 6 * 3600,
    max_under_way: 10_000,
    max_log_size: 16 * MiB,
    require_root_password: false,
    trusted: false,
    providers: {},
    remotes: {},
    oauth_clients: {},
    callback_hosts: [],
    private_hosts: [],
  }
}
