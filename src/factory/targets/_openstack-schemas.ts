/** What is said of an image for OpenStack, of where it goes, and by whom; upstream's names are known too. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

const strict = { additionalProperties: false } as const
const name = { minLength: 1, maxLength: 255 } as const
const text = (description: string) => Type.Optional(Type.String({ ...name, description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const count = (maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum, description }))

export const openstackOptionsSchema = Type.Object(
  {
    openstack_image_format: Type.Optional(
      Type.Union([Type.Literal('raw'), Type.Literal('qcow2'), Type.Literal('qcow2-zlib')], {
        description:
          'default qcow2; qcow2-zlib is compressed; raw is what Ceph wants, and is sent with its holes',
      }),
    ),
    openstack_name: text('the name of the image; default: the template’s'),
    openstack_visibility: Type.Optional(
      Type.Union(
        [
          Type.Literal('private'),
          Type.Literal('shared'),
          Type.Literal('community'),
          Type.Literal('public'),
        ],
        { description: 'who sees it; default: as the provider says, else the cloud' },
      ),
    ),
    openstack_protected: flag('it cannot be deleted, but by Ingot; default false'),
    openstack_min_disk: count(
      65_536,
      'GiB of the smallest disk that it may start on; default: the size of its disk',
    ),
    openstack_min_ram: count(
      1_048_576,
      'MiB of the least memory that it may start with; default 0',
    ),
    openstack_tags: Type.Optional(
      Type.Array(Type.String(name), { maxItems: 100, description: 'tags of the image' }),
    ),
    openstack_properties: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 65_535 }), {
        description:
          'properties of the image, such as hw_disk_bus or os_version, beside and before those that Ingot knows',
      }),
    ),
    openstack_admin_user: text(
      'os_admin_user: whose account cloud-init opens; default: the system’s own',
    ),
    openstack_stores: Type.Optional(
      Type.Array(Type.String(name), {
        maxItems: 100,
        description: 'names of the stores it goes to; default: as the provider says',
      }),
    ),
    openstack_all_stores: flag('it goes to all stores; default false'),
  },
  strict,
)
export type OpenstackOptions = Static<typeof openstackOptionsSchema>

export const openstackProviderSchema = Type.Object(
  {
    cloud: text('name of a cloud in this host’s clouds.yaml; for configured providers only'),
    auth_url: text('address of Keystone, if it is not among the credentials'),
    region: text('default: any'),
    interface: Type.Optional(
      Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')], {
        description: 'which endpoint; default public',
      }),
    ),
    image_endpoint: text('address of the image service; default: as the catalogue says'),
    insecure: flag('believe any certificate; default false'),
    method: Type.Optional(
      Type.Union([Type.Literal('upload'), Type.Literal('import')], {
        description:
          'upload, or interoperable import (glance-direct); default: upload, and import where it goes to several stores',
      }),
    ),
    stores: Type.Optional(
      Type.Array(Type.String(name), { maxItems: 100, description: 'names of stores it goes to' }),
    ),
    visibility: text('who sees images, unless an order says otherwise'),
    poll_seconds: Type.Optional(
      Type.Number({
        minimum: 0,
        description: 'between two questions whether an image is active; default 3',
      }),
    ),
    'glance-host': text('host of the image service (upstream)'),
    'glance-port': Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'its port (upstream); default 9292',
      }),
    ),
    container_format: text('container format of images (upstream); default bare'),
    is_public: flag('everybody sees images (upstream); default false'),
    min_disk: count(65_536, 'as openstack_min_disk, for all images (upstream)'),
    min_ram: count(1_048_576, 'as openstack_min_ram, for all images (upstream)'),
  },
  strict,
)
export type OpenstackProviderOptions = Static<typeof openstackProviderSchema>

const secret = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 8192, description, secret: true }))

export const openstackCredentialsSchema = Type.Object(
  {
    auth_url: text('address of Keystone; of version 2 too, which is asked as version 3'),
    username: text('who'),
    password: secret('the password'),
    user_domain_name: text('domain of the user; default: the one with the id default'),
    user_domain_id: text('the same, by its id'),
    tenant: text('name of the project (upstream)'),
    project_name: text('name of the project'),
    project_id: text('its id'),
    project_domain_name: text('domain of the project; default: the one with the id default'),
    project_domain_id: text('the same, by its id'),
    application_credential_id: text('id of an application credential'),
    application_credential_name: text('its name, with the user’s'),
    application_credential_secret: secret('its secret'),
    token: secret('a token'),
  },
  strict,
)
export type OpenstackCredentials = Static<typeof openstackCredentialsSchema>
