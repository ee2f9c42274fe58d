/** What is said of an image for Azure, of where it goes, and by whom. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

const name = (description: string) =>
  Type.Optional(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$', description }))

export const azureOptionsSchema = Type.Object(
  {
    azure_name: name('of the image; default: the template’s name, and the image’s id'),
    azure_generation: Type.Optional(
      Type.Union([Type.Literal('V1'), Type.Literal('V2')], {
        description: 'of virtual machines: V1 boots by BIOS, V2 (default) by UEFI',
      }),
    ),
    azure_architecture: Type.Optional(
      Type.Union([Type.Literal('x64'), Type.Literal('Arm64')], {
        description: 'of a new image definition; default: the template’s',
      }),
    ),
    azure_version: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,9}[.][0-9]{1,9}[.][0-9]{1,9}$',
        description: 'of a version in a gallery; default: the day and second of the build',
      }),
    ),
    azure_agent: Type.Optional(
      Type.Boolean({ description: 'put Azure’s agent into the image; default true' }),
    ),
    azure_tags: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
        description: 'tags of the image',
      }),
    ),
  },
  { additionalProperties: false },
)
export type AzureOptions = Static<typeof azureOptionsSchema>

const address = (description: string) =>
  Type.Optional(Type.String({ pattern: '^https?://', description }))

export const azureProviderSchema = Type.Object(
  {
    result: Type.Optional(
      Type.Union([Type.Literal('image'), Type.Literal('gallery'), Type.Literal('blob')], {
        description:
          'what is made: a managed image (default), a version in a gallery, or the blob alone',
      }),
    ),
    storage_account: Type.String({ minLength: 3, description: 'where the VHD is written' }),
    container: Type.String({ minLength: 3, description: 'its container, which exists' }),
    prefix: Type.Optional(
      Type.String({ maxLength: 200, description: 'what names of blobs begin with' }),
    ),
    keep_blob: Type.Optional(
      Type.Boolean({ description: 'leave the VHD there when the image is made; default false' }),
    ),
    subscription: Type.Optional(Type.String({ description: 'id of the subscription' })),
    resource_group: Type.Optional(Type.String({ description: 'of the image, or of the gallery' })),
    storage_resource_group: Type.Optional(
      Type.String({ description: 'of the storage account; default: the same' }),
    ),
    location: Type.Optional(Type.String({ description: 'region of the image: westeurope' })),
    gallery: name('the gallery, which exists'),
    definition: name('the image definition in it'),
    create_definition: Type.Optional(
      Type.Boolean({ description: 'make the definition if there is none; default false' }),
    ),
    publisher: name('of a new definition; default ingot'),
    offer: name('of a new definition; default: its name'),
    sku: name('of a new definition; default: its name'),
    regions: Type.Optional(
      Type.Array(Type.String(), {
        description: 'where a version is replicated to; default: the location',
      }),
    ),
    blob_endpoint: address('address of the storage account; default: Azure’s'),
    arm_endpoint: address('address of the resource manager; default: Azure’s'),
    authority: address('address of Entra ID; default: Azure’s'),
    cacert: Type.Optional(
      Type.String({
        description:
          'authorities to believe of the resource manager and Entra ID: PEM text, or a file with it (of configured providers)',
      }),
    ),
    parallel: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 64,
        description: 'pages on their way at a time; default 8',
      }),
    ),
    poll_seconds: Type.Optional(
      Type.Number({
        minimum: 0,
        description: 'between two questions whether something is done; default 5',
      }),
    ),
  },
  { additionalProperties: false },
)
export type AzureProviderOptions = Static<typeof azureProviderSchema>

export const azureCredentialsSchema = Type.Object(
  {
    tenant: Type.Optional(Type.String({ description: 'id of the tenant of an application' })),
    client_id: Type.Optional(Type.String({ description: 'id of the application' })),
    client_secret: Type.Optional(Type.String({ description: 'its secret', secret: true })),
    account_key: Type.Optional(
      Type.String({ description: 'key of the storage account', secret: true }),
    ),
    sas: Type.Optional(
      Type.String({ description: 'signature that opens the container', secret: true }),
    ),
  },
  { additionalProperties: false },
)
export type AzureCredentials = Static<typeof azureCredentialsSchema>
