/** What is said of an image for Google Compute Engine, of where it goes, and by whom. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

const name = (description: string) =>
  Type.Optional(Type.String({ pattern: '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$', description }))

export const gceOptionsSchema = Type.Object(
  {
    gce_image_name: name('of the image; default: the template’s name, and the image’s id'),
    gce_image_family: name('the family of which it is the newest'),
    gce_object_name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        description: 'of the object in the bucket while the image is made',
      }),
    ),
    gce_description: Type.Optional(Type.String({ maxLength: 2048, description: 'of the image' })),
    gce_architecture: Type.Optional(
      Type.Union([Type.Literal('X86_64'), Type.Literal('ARM64')], {
        description: 'default: the template’s',
      }),
    ),
    gce_features: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z0-9_]{2,60}$' }), {
        description: 'of the guest; default UEFI_COMPATIBLE, VIRTIO_SCSI_MULTIQUEUE, GVNIC',
      }),
    ),
    gce_licenses: Type.Optional(
      Type.Array(Type.String(), { description: 'addresses of licences' }),
    ),
    gce_locations: Type.Optional(
      Type.Array(Type.String(), {
        description: 'where the image is kept; default: near the bucket',
      }),
    ),
    gce_labels: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
        description: 'labels of the image',
      }),
    ),
  },
  { additionalProperties: false },
)
export type GceOptions = Static<typeof gceOptionsSchema>

const address = (of: string) =>
  Type.Optional(
    Type.String({ pattern: '^https?://', description: `address of ${of}; default: Google’s` }),
  )

export const gceProviderSchema = Type.Object(
  {
    project: Type.Optional(Type.String({ description: 'default: that of the service account' })),
    bucket: Type.String({
      minLength: 3,
      description: 'where the disk is sent to, to be made an image of',
    }),
    storage_endpoint: address('Cloud Storage'),
    compute_endpoint: address('Compute Engine'),
    cacert: Type.Optional(
      Type.String({
        description:
          'authorities to believe beside the known: PEM text, or a file with it (of configured providers)',
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
export type GceProviderOptions = Static<typeof gceProviderSchema>

/** The file that Google gives for a service account, as it is. */
export const gceCredentialsSchema = Type.Object(
  {
    type: Type.Optional(
      Type.Literal('service_account', { description: 'what the file says of itself' }),
    ),
    client_email: Type.String({ minLength: 3, description: 'of the service account' }),
    private_key: Type.String({ minLength: 3, description: 'its key, PEM', secret: true }),
    project_id: Type.Optional(Type.String({ description: 'whose it is' })),
  },
  { description: 'the JSON file of a service account' },
)
export type GceCredentials = Static<typeof gceCredentialsSchema>
