/** What is said of an image for containers, of the registry it goes to, and by whom; upstream's names are known too. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'
import { STREAM_PACKINGS, type StreamPacking } from './_packed-stream.ts'

const strict = { additionalProperties: false } as const
const text = (maxLength: number, description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }))
const texts = (description: string) =>
  Type.Optional(
    Type.Union(
      [
        Type.String({ maxLength: 32_768 }),
        Type.Array(Type.String({ maxLength: 8192 }), { maxItems: 500 }),
      ],
      { description },
    ),
  )

/** Source: OCI distribution specification, names of repositories and tags. */
export const REPOSITORY = '^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$'
export const TAG = '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$'

export const containerOptionsSchema = Type.Object(
  {
    container_content: Type.Optional(
      Type.Union([Type.Literal('root'), Type.Literal('disk')], {
        description:
          'root: the guest’s files, for containers (default); disk: its disk below /disk, for KubeVirt',
      }),
    ),
    container_archive: Type.Optional(
      Type.Union([Type.Literal('oci'), Type.Literal('docker')], {
        description: 'layout of the archive that is downloaded; default oci',
      }),
    ),
    container_compression: Type.Optional(
      Type.Union([Type.Literal('gzip'), Type.Literal('zstd'), Type.Literal('none')], {
        description:
          'of the layer, but in docker archives, which have none; default gzip, of disks none',
      }),
    ),
    container_disk_format: Type.Optional(
      Type.Union([Type.Literal('qcow2'), Type.Literal('qcow2-zlib'), Type.Literal('raw')], {
        description: 'of a disk; default qcow2',
      }),
    ),
    container_created: Type.Optional(
      Type.String({
        pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$',
        description:
          'when it was made; later times of files become this one; default: the newest time of a file',
      }),
    ),
    container_entrypoint: texts(
      'program and arguments that cannot be left out, as a list, or one program',
    ),
    container_user: text(255, 'who runs the program'),
    container_workdir: text(4096, 'where the program runs'),
    repository: Type.Optional(
      Type.String({
        maxLength: 200,
        pattern: REPOSITORY,
        description: 'name of the repository; default: the template’s, in small letters',
      }),
    ),
    tag: Type.Optional(Type.String({ pattern: TAG, description: 'default latest' })),
    docker_cmd: texts('the program that runs: a list, or a line for /bin/sh'),
    docker_env: texts('its environment: NAME=value, a list of such, or lines'),
    docker_label: Type.Optional(
      Type.Union(
        [
          Type.String({ maxLength: 32_768 }),
          Type.Record(Type.String(), Type.String({ maxLength: 8192 })),
        ],
        { description: 'labels: an object, or lines of name=value' },
      ),
    ),
    docker_set_arch_label: Type.Optional(
      Type.Boolean({ description: 'a label named architecture; default false' }),
    ),
    create_docker_metadata: Type.Optional(
      Type.Boolean({
        description: 'false: the download is no more than a tar of the root; default true',
      }),
    ),
    comment: text(1000, 'in the history of the image'),
    compress: Type.Optional(
      Type.Unsafe<StreamPacking>({
        ...Type.Union(STREAM_PACKINGS.map((packing) => Type.Literal(packing))),
        description: 'how the archive that is downloaded is packed; default none',
      }),
    ),
    tar_excludes: texts('files that are left out: patterns with * and ?; default ./etc/fstab'),
  },
  strict,
)
export type ContainerOptions = Static<typeof containerOptionsSchema>

export const containerProviderSchema = Type.Object(
  {
    registry: Type.String({
      pattern: '^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$',
      description: 'host, and port, of the registry: registry.example:5000',
    }),
    prefix: Type.Optional(
      Type.String({
        maxLength: 200,
        pattern: REPOSITORY,
        description: 'what names of repositories begin with there',
      }),
    ),
    plain_http: Type.Optional(
      Type.Boolean({ description: 'speak HTTP without TLS, passwords too; default false' }),
    ),
    insecure: Type.Optional(
      Type.Boolean({ description: 'believe any certificate; default false' }),
    ),
  },
  strict,
)
export type ContainerProviderOptions = Static<typeof containerProviderSchema>

export const containerCredentialsSchema = Type.Object(
  {
    username: text(255, 'who'),
    password: Type.Optional(
      Type.String({ maxLength: 8192, description: 'or an access token', secret: true }),
    ),
  },
  strict,
)
export type ContainerCredentials = Static<typeof containerCredentialsSchema>
