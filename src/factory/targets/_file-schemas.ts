/** What is said of an image that is kept as files, and of where it is kept. */
import type { Static } from 'typebox'
import { VIEW_FORMATS } from '../../formats/views.ts'
import { Type } from '../../schema/type.ts'

const strict = { additionalProperties: false } as const
const text = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 255, description }))
/** What a part of a path may be: it cannot climb, hide, or mean anything to a shell. */
export const NAME = '^[a-z0-9]+([._+-][a-z0-9]+)*$'
const name = (description: string) =>
  Type.Optional(Type.String({ maxLength: 64, pattern: NAME, description }))

export const fileOptionsSchema = Type.Object(
  {
    file_formats: Type.Optional(
      Type.Array(
        Type.Unsafe<string>(
          Type.Union(VIEW_FORMATS.map(({ name: format }) => Type.Literal(format))),
        ),
        {
          minItems: 1,
          maxItems: VIEW_FORMATS.length,
          description: 'formats in which the disk is written; default qcow2',
        },
      ),
    ),
    file_name: name('name of the files, without their endings; default disk'),
    file_os: name('the system, in index and path; default: the template’s'),
    file_release: name('its release; default: the template’s'),
    file_variant: name('which of several images of a release; default: default'),
    file_version: name('the version; default: when it was made, and the image’s id'),
    file_alias: text('what Incus and LXD call it beside OS/RELEASE'),
  },
  strict,
)
export type FileOptions = Static<typeof fileOptionsSchema>

export const fileProviderSchema = Type.Object(
  {
    directory: Type.Optional(
      Type.String({
        pattern: '^/',
        maxLength: 4000,
        description: 'where files are kept, an absolute path; for configured providers only',
      }),
    ),
    bucket: text('the bucket of S3 in which they are kept, in place of a directory'),
    prefix: Type.Optional(
      Type.String({
        maxLength: 500,
        description: 'what names of objects begin with; default nothing',
      }),
    ),
    endpoint: text('address of the S3 server; default: Amazon’s of the region'),
    region: text('default us-east-1'),
    path_style: Type.Optional(
      Type.Boolean({ description: 'name the bucket in the path, not in the host; default true' }),
    ),
  },
  strict,
)
export type FileProviderOptions = Static<typeof fileProviderSchema>

export const fileCredentialsSchema = Type.Object(
  {
    access_key: text('id of the key'),
    secret_key: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, description: 'the key', secret: true }),
    ),
    session_token: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 8192,
        description: 'of temporary credentials',
        secret: true,
      }),
    ),
  },
  strict,
)
export type FileCredentials = Static<typeof fileCredentialsSchema>
