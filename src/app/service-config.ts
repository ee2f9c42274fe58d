/**
 * Settings of the image service: one schema, every field with its meaning, unit and default. The YAML file of
 * `ingot serve --config` holds these; unknown keys are refused with their path.
 */
import type { Static } from 'typebox'
import { MiB, TiB } from '../base/units.ts'
import { Type } from '../schema/type.ts'

const strict = { additionalProperties: false } as const
const texts = (description: string) => Type.Array(Type.String(), { description })

const keystone = Type.Object(
  {
    auth_url: Type.String({ description: 'of Identity v3: https://keystone.example/v3' }),
    username: Type.String({ description: 'of the service’s own user' }),
    password: Type.String({ description: 'of that user', secret: true }),
    project_name: Type.String({ description: 'of that user; default service' }),
    user_domain_name: Type.String({ description: 'default Default' }),
    project_domain_name: Type.String({ description: 'default Default' }),
    www_authenticate_uri: Type.Optional(
      Type.String({ description: 'what clients are told; default auth_url' }),
    ),
    region: Type.Optional(Type.String({ description: 'of the catalogue; default any' })),
    cache_s: Type.Number({
      minimum: 0,
      description: 'seconds a valid token is believed; default 300',
    }),
    service_token_roles: texts('roles a service token must have one of; default [service]'),
    limits: Type.Boolean({
      description: 'take quotas from Keystone’s unified limits; default false',
    }),
  },
  strict,
)

export const serviceSchema = Type.Object(
  {
    listen: Type.String({ description: 'address:port; default 127.0.0.1:9292' }),
    allow_remote_without_auth: Type.Boolean({
      description: 'let auth none listen on an address that other hosts reach; default false',
    }),
    public_endpoint: Type.Optional(
      Type.String({
        description: 'base of the addresses in answers; default: as the client asked',
      }),
    ),
    data_dir: Type.String({
      description: 'directory of the catalog, of the file store, and of spools',
    }),
    database: Type.Optional(
      Type.String({ description: 'postgres://…; default: SQLite in data_dir', secret: true }),
    ),
    temp_dir: Type.Optional(
      Type.String({ description: 'for what has to be put aside; default data_dir/spool' }),
    ),
    auth: Type.Object(
      {
        mode: Type.Union([Type.Literal('none'), Type.Literal('token'), Type.Literal('keystone')], {
          description:
            'who may call: anyone on this machine, tokens of a file, or users of Keystone',
        }),
        tokens_file: Type.Optional(Type.String({ description: 'for mode token' })),
        keystone: Type.Optional(keystone),
      },
      strict,
    ),
    policy_file: Type.Optional(
      Type.String({ description: 'rules that replace the default ones (oslo.policy, YAML)' }),
    ),
    property_protections: Type.Optional(
      Type.String({ description: 'file of rules for properties' }),
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
        ),
      },
      strict,
    ),
    image: Type.Object(
      {
        disk_formats: texts('what disk_format may be'),
        container_formats: texts('what container_format may be'),
        hash_algorithm: Type.String({ description: 'of os_hash_value; default sha512' }),
        require_format_match: Type.Boolean({
          description: 'refuse data that is not of its disk_format; default true',
        }),
        max_size: Type.Integer({ minimum: 1, description: 'bytes of one image; default 1 TiB' }),
        max_members: Type.Integer({
          description: 'of one image; negative: any number; default 128',
        }),
        max_properties: Type.Integer({ description: 'default 128' }),
        max_tags: Type.Integer({ description: 'default 128' }),
        max_locations: Type.Integer({ description: 'default 10' }),
        show_direct_url: Type.Boolean({ description: 'default false' }),
        show_multiple_locations: Type.Boolean({
          description: 'old locations API, by PATCH; default false',
        }),
        secure_hash: Type.Boolean({
          description: 'hash what a location holds in the background; default true',
        }),
        schema_file: Type.Optional(
          Type.String({ description: 'well-known properties of the schema of images' }),
        ),
        delayed_delete_s: Type.Integer({
          minimum: 0,
          description: 'seconds that deleted data is kept; default 0',
        }),
        page_size: Type.Integer({ minimum: 1, description: 'of listings; default 25' }),
        max_page_size: Type.Integer({ minimum: 1, description: 'default 1000' }),
      },
      strict,
    ),
    import: Type.Object(
      {
        methods: texts('that are offered'),
        steps: texts(
          'run on the way, in order: decompress, convert, inject-metadata, introspect; inspect always',
        ),
        golden_format: Type.String({ description: 'what convert makes; default raw' }),
        inject: Type.Record(Type.String(), Type.String(), {
          description: 'properties that inject-metadata sets',
        }),
        inject_ignore_roles: texts('whose images are left alone; default [admin]'),
        web: Type.Object(
          {
            allowed_schemes: texts('default [http, https]'),
            denied_schemes: texts('asked only if nothing is allowed'),
            allowed_hosts: texts('default any public one; one that is named here may be private'),
            denied_hosts: texts('asked only if nothing is allowed'),
            allowed_ports: Type.Array(Type.Integer(), { description: 'default [80, 443]' }),
            denied_ports: Type.Array(Type.Integer(), {
              description: 'asked only if nothing is allowed',
            }),
            retries: Type.Integer({ minimum: 0, description: 'of a broken download; default 5' }),
          },
          strict,
        ),
        glance_download_properties: texts('prefixes of properties that glance-download copies'),
        concurrency: Type.Integer({
          minimum: 1,
          description: 'tasks at a time in one server; default 4',
        }),
        parallel_stores: Type.Integer({
          minimum: 1,
          description: 'copies at a time of one import; default 2',
        }),
        task_keep_h: Type.Number({
          minimum: 0,
          description: 'hours that finished tasks are kept; default 48',
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
          description: 'keep copies of data of remote stores on this machine; default false',
        }),
        max_size: Type.Integer({ minimum: 0, description: 'bytes; default 10 GiB' }),
      },
      strict,
    ),
    lease_s: Type.Number({
      minimum: 1,
      description: 'a worker that is silent for so long is taken for dead; default 30',
    }),
  },
  strict,
)

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
    lease_s: 30,
  }
}
