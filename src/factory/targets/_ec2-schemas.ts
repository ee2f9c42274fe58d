/** What is said of an image for EC2, of where it goes, and by whom. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

export const ec2OptionsSchema = Type.Object(
  {
    ec2_format: Type.Optional(
      Type.Union([Type.Literal('raw'), Type.Literal('vhd')], {
        description:
          'what is uploaded when it goes by S3, and downloaded; default raw; a VHD has no holes',
      }),
    ),
    ec2_name: Type.Optional(
      Type.String({
        minLength: 3,
        maxLength: 128,
        description: 'the name of the AMI; default: the template’s, and the image’s id',
      }),
    ),
    ec2_description: Type.Optional(Type.String({ maxLength: 255, description: 'of the AMI' })),
    ec2_architecture: Type.Optional(
      Type.Union([Type.Literal('x86_64'), Type.Literal('arm64'), Type.Literal('i386')], {
        description: 'default: the template’s',
      }),
    ),
    ec2_boot_mode: Type.Optional(
      Type.Union(
        [Type.Literal('uefi'), Type.Literal('uefi-preferred'), Type.Literal('legacy-bios')],
        { description: 'default uefi-preferred; uefi for arm64, legacy-bios for i386' },
      ),
    ),
    ec2_ena: Type.Optional(
      Type.Boolean({ description: 'the guest has the driver for ENA; default true' }),
    ),
    ec2_imds: Type.Optional(
      Type.Union([Type.Literal('v2.0'), Type.Literal('any')], {
        description: 'which instance metadata instances allow; default v2.0, tokens only',
      }),
    ),
    ec2_root_device: Type.Optional(
      Type.String({ pattern: '^/dev/[a-z0-9]{1,30}$', description: 'default /dev/xvda' }),
    ),
    ec2_volume_type: Type.Optional(
      Type.Union(
        [Type.Literal('gp3'), Type.Literal('gp2'), Type.Literal('io2'), Type.Literal('standard')],
        {
          description: 'of the root volume; default gp3',
        },
      ),
    ),
    ec2_volume_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_536,
        description: 'GiB of the root volume; default: the disk’s size',
      }),
    ),
    ec2_tags: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
        description: 'tags of AMI and snapshot',
      }),
    ),
    ec2_public: Type.Optional(
      Type.Boolean({ description: 'everybody may start it; default false' }),
    ),
    ec2_launch_accounts: Type.Optional(
      Type.Array(Type.String({ pattern: '^[0-9]{12}$' }), {
        description: 'accounts that may start it',
      }),
    ),
  },
  { additionalProperties: false },
)
export type Ec2Options = Static<typeof ec2OptionsSchema>

const endpoint = (of: string) =>
  Type.Optional(
    Type.String({
      pattern: '^https?://',
      description: `address of ${of}; default: Amazon’s of the region`,
    }),
  )

export const ec2ProviderSchema = Type.Object(
  {
    region: Type.String({ pattern: '^[a-z0-9-]{1,40}$', description: 'such as eu-central-1' }),
    via: Type.Optional(
      Type.Union([Type.Literal('ebs-direct'), Type.Literal('s3')], {
        description:
          'how the disk gets there: by blocks, without holes (default), or through a bucket',
      }),
    ),
    bucket: Type.Optional(Type.String({ minLength: 3, description: 'the bucket of via: s3' })),
    prefix: Type.Optional(
      Type.String({
        maxLength: 500,
        description: 'what names of objects begin with; default ingot/',
      }),
    ),
    role: Type.Optional(
      Type.String({ description: 'the role of the import service; default vmimport' }),
    ),
    encrypted: Type.Optional(
      Type.Boolean({ description: 'encrypt the snapshot; default: as the account says' }),
    ),
    kms_key: Type.Optional(
      Type.String({ description: 'the key to encrypt it with; it is encrypted then' }),
    ),
    ec2_endpoint: endpoint('EC2'),
    ebs_endpoint: endpoint('the EBS direct APIs'),
    s3_endpoint: endpoint('S3'),
    parallel: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 128,
        description: 'blocks on their way at a time; default 32',
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
export type Ec2ProviderOptions = Static<typeof ec2ProviderSchema>

export const ec2CredentialsSchema = Type.Object(
  {
    access_key: Type.String({ minLength: 1, description: 'id of the key' }),
    secret_key: Type.String({ minLength: 1, description: 'the key', secret: true }),
    session_token: Type.Optional(
      Type.String({ description: 'of temporary credentials', secret: true }),
    ),
  },
  { additionalProperties: false },
)
export type Ec2Credentials = Static<typeof ec2CredentialsSchema>
