/**
 * Settings of the image service: one schema, every field with its meaning, unit and default. The YAML file of
 * `ingot serve --config` holds these; unknown keys are refused with their path.
 */
import type { Static } from 'typebox'
import { MiB, TiB } from '../base/units.ts'
import { Type } from '../schema/type.ts'
import { factoryDefaults, factorySettings } from './factory-config.ts'

const strict = { additionalProperties: false } as const
const texts = (description: string) => Type.Array(Type.String(), { description })

const keystone = Type.Object(
  {
    auth_url: Type.String({ description: 'of Identity v3: https://keystone.example/v3' }),
    username: Type.String({ description: 'of the service’s own user' }),
    password: Type.String({ description: 'of that user', secret: true }),
    project_name: Type.String({ description: 'of that user' }),
    user_domain_name: Type.String({ description: 'of that user’s name' }),
    project_domain_name: Type.String({ description: 'of that project’s name' }),
    www_authenticate_uri: Type.Optional(
      Type.String({ description: 'what clients are told; left out: auth_url' }),
    ),
    region: Type.Optional(Type.String({ description: 'of the catalogue; left out: any' })),
    cache_s: Type.Number({
      minimum: 0,
      description: 'seconds a valid token is believed',
    }),
    service_token_roles: texts('roles a service token must have one of'),
    limits: Type.Boolean({
      description: 'take quotas from Keystone’s unified limits',
    }),
  },
  strict,
)

/** What holds in the section `auth.keystone` when it is there. */
export const KEYSTONE_DEFAULTS = {
  project_name: 'service',
  user_domain_name: 'Default',
  project_domain_name: 'Default',
  cache_s: 300,
  service_token_roles: ['service'],
  limits: false,
}

/** By name, as they stand in the file. */
export const serviceSettings = {
  listen: Type.String({ description: 'address:port' }),
  allow_remote_without_auth: Type.Boolean({
    description: 'let auth none listen on an address that other hosts reach',
  }),
  public_endpoint: Type.Optional(
    Type.String({
      description: 'base of the addresses in answers; left out: as the client asked',
    }),
  ),
  data_dir: Type.String({
    description: 'directory of the catalog, of the file store, and of spools',
  }),
  database: Type.Optional(
    Type.String({ description: 'postgres://…; left out: SQLite in data_dir', secret: true }),
  ),
  spool_dir: Type.Optional(
    Type.String({ description: 'for what has to be put aside; left out: data_dir/spool' }),
  ),
  auth: Type.Object(
    {
      mode: Type.Union([Type.Literal('none'), Type.Literal('token'), Type.Literal('keystone')], {
        description: 'who may call: anyone on this machine, tokens of a file, or users of Keystone',
      }),
      tokens_file: Type.Optional(Type.String({ description: 'for mode token' })),
      keystone: Type.Optional(keystone),
    },
    strict,
  ),
  policy_file: Type.Optional(
    Type.String({ description: 'rules that replace the default ones (oslo.policy, YAML)' }),
  ),
  property_protections: Type.Optional(Type.String({ description: 'file of rules for properties' })),
  property_protections_by: Type.Optional(
    Type.Union([Type.Literal('roles'), Type.Literal('policies')], {
      description: 'what that file lists; left out: roles',
    }),
  ),
  stores: Type.Object(
    {
      default: Type.String({ description: 'the store that is used when none is named' }),
      list: Type.Array(
        Type.Object(
          {
            id: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', description: 'its name' }),
            type: Type.String({ description: 'its driver: file, memory, http, s3, swift' }),
            description: Type.Optional(Type.String({ description: 'for people' })),
            weight: Type.Optional(
              Type.Number({ description: 'larger is preferred for downloads' }),
            ),
            options: Type.Optional(
              Type.Record(Type.String(), Type.Unsafe<unknown>({}), {
                description: 'of the driver',
              }),
            ),
          },
          strict,
        ),
        { description: 'every store: id, type, and what its driver wants' },
      ),
    },
    strict,
  ),
  image: Type.Object(
    {
      disk_formats: texts('what disk_format may be'),
      container_formats: texts('what container_format may be'),
      hash_algorithm: Type.String({ description: 'of os_hash_value' }),
      require_format_match: Type.Boolean({
        description: 'refuse data that is not of its disk_format',
      }),
      certificates_dir: Type.Optional(
        Type.String({
          description:
            'certificates of those who sign images, UUID.pem or UUID.der, asked before the cloud’s key manager',
        }),
      ),
      max_size: Type.Integer({ minimum: 1, description: 'bytes of one image' }),
      max_members: Type.Integer({
        description: 'of one image; negative: any number',
      }),
      max_properties: Type.Integer({
        description: 'of one image, those of the schema not counted',
      }),
      max_tags: Type.Integer({ description: 'of one image' }),
      max_locations: Type.Integer({ description: 'of one image' }),
      show_direct_url: Type.Boolean({ description: 'show where data stands, as direct_url' }),
      show_multiple_locations: Type.Boolean({
        description: 'old locations API, by PATCH',
      }),
      secure_hash: Type.Boolean({
        description: 'hash what a location holds in the background',
      }),
      schema_file: Type.Optional(
        Type.String({ description: 'well-known properties of the schema of images' }),
      ),
      delayed_delete_s: Type.Integer({
        minimum: 0,
        description: 'seconds that deleted data is kept',
      }),
      page_size: Type.Integer({ minimum: 1, description: 'of listings' }),
      max_page_size: Type.Integer({ minimum: 1, description: 'most that a listing gives at once' }),
    },
    strict,
  ),
  import: Type.Object(
    {
      methods: texts('that are offered'),
      steps: texts(
        'run on the way, in order: decompress, convert, inject-metadata, introspect; inspect always',
      ),
      golden_format: Type.String({ description: 'what convert makes' }),
      inject: Type.Record(Type.String(), Type.String(), {
        description: 'properties that inject-metadata sets',
      }),
      inject_ignore_roles: texts('whose images are left alone'),
      web: Type.Object(
        {
          allowed_schemes: texts('of addresses'),
          denied_schemes: texts('asked only if nothing is allowed'),
          allowed_hosts: texts('none named: any public one; one that is named may be private'),
          denied_hosts: texts('asked only if nothing is allowed'),
          allowed_ports: Type.Array(Type.Integer(), { description: 'none named: any' }),
          denied_ports: Type.Array(Type.Integer(), {
            description: 'asked only if nothing is allowed',
          }),
          retries: Type.Integer({ minimum: 0, description: 'of a broken download' }),
        },
        strict,
      ),
      glance_download_properties: texts('prefixes of properties that glance-download copies'),
      concurrency: Type.Integer({
        minimum: 1,
        description: 'tasks at a time in one server',
      }),
      parallel_stores: Type.Integer({
        minimum: 1,
        description: 'copies at a time of one import',
      }),
      task_keep_h: Type.Number({
        minimum: 0,
        description: 'hours that finished tasks are kept',
      }),
    },
    strict,
  ),
  quotas: Type.Object(
    {
      default: Type.Record(Type.String(), Type.Integer(), {
        description:
          'image_size_total and image_stage_total (MiB), image_count_total, image_count_uploading',
      }),
      projects: Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer()), {
        description: 'the same for single projects',
      }),
    },
    strict,
  ),
  cache: Type.Object(
    {
      enabled: Type.Boolean({
        description: 'keep copies of data of remote stores on this machine',
      }),
      max_size: Type.Integer({ minimum: 0, description: 'bytes' }),
    },
    strict,
  ),
  factory: factorySettings,
  plugins: texts('modules that bring parts of their own; see docs/plugins.md'),
  sweep_after_h: Type.Number({
    minimum: 0,
    description: 'hours after which data in a store that no image names is removed; 0: never',
  }),
  lease_s: Type.Number({
    minimum: 1,
    description: 'a worker that is silent for so long is taken for dead',
  }),
}

const serviceSchema = Type.Object(serviceSettings, strict)

export type ServiceConfig = Readonly<Static<typeof serviceSchema>>

/** Formats that Glance knows, and what hypervisors call theirs. */
const DISK_FORMATS = [
  'ami',
  'ari',
  'aki',
  'vhd',
  'vhdx',
  'vmdk',
  'raw',
  'qcow2',
  'vdi',
  'iso',
  'ploop',
  'gpt',
]
const CONTAINER_FORMATS = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed']

/** What holds unless the file says otherwise. */
export function serviceDefaults(dataDir: string): ServiceConfig {
  return {
    listen: '127.0.0.1:9292',
    allow_remote_without_auth: false,
    data_dir: dataDir,
    auth: { mode: 'none' },
    stores: { default: 'file', list: [{ id: 'file', type: 'file' }] },
    image: {
      disk_formats: DISK_FORMATS,
      container_formats: CONTAINER_FORMATS,
      hash_algorithm: 'sha512',
      require_format_match: true,
      max_size: TiB,
      max_members: 128,
      max_properties: 128,
      max_tags: 128,
      max_locations: 10,
      show_direct_url: false,
      show_multiple_locations: false,
      secure_hash: true,
      delayed_delete_s: 0,
      page_size: 25,
      max_page_size: 1000,
    },
    import: {
      methods: ['glance-direct', 'web-download', 'copy-image', 'glance-download'],
      steps: ['decompress', 'convert', 'introspect'],
      golden_format: 'raw',
      inject: {},
      inject_ignore_roles: ['admin'],
      web: {
        allowed_schemes: ['http', 'https'],
        denied_schemes: [],
        allowed_hosts: [],
        denied_hosts: [],
        allowed_ports: [80, 443],
        denied_ports: [],
        retries: 5,
      },
      glance_download_properties: ['hw_', 'trait:', 'os_distro', 'os_secure_boot', 'os_type'],
      concurrency: 4,
      parallel_stores: 2,
      task_keep_h: 48,
    },
    quotas: { default: {}, projects: {} },
    cache: { enabled: false, max_size: 10 * 1024 * MiB },
    factory: factoryDefaults(),
    plugins: [],
    sweep_after_h: 168,
    lease_s: 30,
  }
}
