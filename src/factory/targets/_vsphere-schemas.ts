/** What is said of an image for vSphere, of where it goes, and by whom. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

export const vsphereOptionsSchema = Type.Object(
  {
    vsphere_name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_. -]{1,80}$',
        description: 'default: the template’s name, and the image’s id',
      }),
    ),
    vsphere_cpus: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 768, description: 'default 1' }),
    ),
    vsphere_memory: Type.Optional(Type.Integer({ minimum: 64, description: 'MiB; default 2048' })),
    vsphere_firmware: Type.Optional(
      Type.Union([Type.Literal('efi'), Type.Literal('bios')], { description: 'default bios' }),
    ),
    vsphere_guest: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_]{1,60}$',
        description: 'what vSphere calls the system; default otherLinux64Guest',
      }),
    ),
  },
  { additionalProperties: false },
)
export type VsphereOptions = Static<typeof vsphereOptionsSchema>

const word = (description: string) => Type.String({ minLength: 1, maxLength: 200, description })

export const vsphereProviderSchema = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://',
      description: 'address of vCenter: https://vcenter.example',
    }),
    result: Type.Optional(
      Type.Union([Type.Literal('template'), Type.Literal('vm'), Type.Literal('library')], {
        description:
          'what is made: a template (default), a virtual machine, or an item of a content library',
      }),
    ),
    datacenter: Type.Optional(word('name of the data centre')),
    compute_resource: Type.Optional(word('name of the cluster or host')),
    datastore: Type.Optional(word('name of the datastore')),
    folder: Type.Optional(word('folder of machines; default: the data centre’s')),
    network: Type.Optional(word('name of the network; default VM Network')),
    library: Type.Optional(word('name of the content library')),
    cacert: Type.Optional(
      Type.String({
        description:
          'authorities to believe beside the known: PEM text, or a file with it (of configured providers)',
      }),
    ),
    insecure: Type.Optional(
      Type.Boolean({ description: 'believe any certificate; default false' }),
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
export type VsphereProviderOptions = Static<typeof vsphereProviderSchema>

export const vsphereCredentialsSchema = Type.Object(
  {
    username: Type.String({ minLength: 1, description: 'such as administrator@vsphere.local' }),
    password: Type.String({ minLength: 1, description: 'its password', secret: true }),
  },
  { additionalProperties: false },
)
export type VsphereCredentials = Static<typeof vsphereCredentialsSchema>
