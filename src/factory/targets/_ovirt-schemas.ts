/** What is said of an image for oVirt, of where it goes, and by whom. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

export const ovirtOptionsSchema = Type.Object(
  {
    ovirt_name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_.-]{1,64}$',
        description: 'of disk and template; default: the template’s name, and the image’s id',
      }),
    ),
    ovirt_result: Type.Optional(
      Type.Union([Type.Literal('template'), Type.Literal('disk')], {
        description: 'a template of a machine with the disk (default), or the disk alone',
      }),
    ),
    ovirt_sparse: Type.Optional(
      Type.Boolean({
        description: 'the disk takes only the room that its data needs; default true',
      }),
    ),
    ovirt_memory: Type.Optional(
      Type.Integer({ minimum: 64, description: 'MiB of machines of the template; default 2048' }),
    ),
    ovirt_cpus: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 512,
        description: 'of machines of the template; default 1',
      }),
    ),
    ovirt_bios: Type.Optional(
      Type.Union(
        [Type.Literal('q35_ovmf'), Type.Literal('q35_sea_bios'), Type.Literal('i440fx_sea_bios')],
        {
          description: 'firmware of machines of the template; default q35_ovmf',
        },
      ),
    ),
  },
  { additionalProperties: false },
)
export type OvirtOptions = Static<typeof ovirtOptionsSchema>

export const ovirtProviderSchema = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://',
      description: 'address of the engine: https://engine.example/ovirt-engine',
    }),
    storage_domain: Type.String({ minLength: 1, description: 'name of the domain for the disk' }),
    cluster: Type.Optional(
      Type.String({ description: 'name of the cluster of the template; default Default' }),
    ),
    network_profile: Type.Optional(
      Type.String({
        description: 'id of the vNIC profile of the template’s network card; default: none',
      }),
    ),
    via: Type.Optional(
      Type.Union([Type.Literal('direct'), Type.Literal('proxy')], {
        description: 'send to the host that has the disk (default), or through the engine’s proxy',
      }),
    ),
    cacert: Type.Optional(
      Type.String({
        description:
          'authorities to believe beside the known: PEM text, or a file with it (of configured providers)',
      }),
    ),
    insecure: Type.Optional(
      Type.Boolean({ description: 'believe any certificate; default false' }),
    ),
    parallel: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 16,
        description: 'parts on their way at a time; default 4',
      }),
    ),
    poll_seconds: Type.Optional(
      Type.Number({
        minimum: 0,
        description: 'between two questions whether something is done; default 3',
      }),
    ),
  },
  { additionalProperties: false },
)
export type OvirtProviderOptions = Static<typeof ovirtProviderSchema>

export const ovirtCredentialsSchema = Type.Object(
  {
    username: Type.String({ minLength: 1, description: 'with its profile: admin@internal' }),
    password: Type.String({ minLength: 1, description: 'its password', secret: true }),
  },
  { additionalProperties: false },
)
export type OvirtCredentials = Static<typeof ovirtCredentialsSchema>
