/**
 * Shapes of a recipe's `base` and `disk`: how `build` makes the operating system and its disk. They
 * stand here so that a recipe can be checked without loading anything that builds.
 */
import type { Static } from 'typebox'
import { Type } from '../schema/type.ts'

const URL = '(https?|file|copy):/[^\\s"\']+'

// Source: Debian policy 5.6.7.
const packageName = Type.String({
  pattern: '^[a-z0-9][a-z0-9+.-]*$',
  title: 'the name of a package',
})

export const baseSchema = Type.Object(
  {
    builder: Type.Optional(
      Type.Literal('bootstrap', {
        description: 'the OS builder: bootstrap installs packages into an empty tree',
      }),
    ),
    distro: Type.Union([Type.Literal('debian'), Type.Literal('ubuntu')], {
      description: 'the distribution',
    }),
    release: Type.String({
      pattern: '^[a-z][a-z0-9-]*$',
      title: 'the code name of a release, such as bookworm',
      description: 'the code name of the release',
    }),
    variant: Type.Optional(
      Type.Union([Type.Literal('minbase'), Type.Literal('important'), Type.Literal('standard')], {
        description:
          'what is there before any package is named: minbase (the essential ones and apt; default), important or standard (those of that priority too)',
      }),
    ),
    architecture: Type.Optional(
      Type.Literal('amd64', { description: 'the processor, as Debian calls it; default amd64' }),
    ),
    mirror: Type.Optional(
      Type.String({
        pattern: `^${URL}$`,
        title: 'a URL such as https://mirror.example/debian',
        description:
          'where packages come from; default: as in the apt configuration of the building host',
      }),
    ),
    security_mirror: Type.Optional(
      Type.String({
        pattern: `^(none|${URL})$`,
        title: 'a URL such as https://mirror.example/debian-security, or none',
        description:
          'where security updates come from; default: as above; for a mirror whose path has /debian, its /debian-security; none: from nowhere',
      }),
    ),
    keyring: Type.Optional(
      Type.String({
        pattern: '^/[^\\s"\']+$',
        title: 'an absolute path',
        description: "file with the archive's keys; default: as in the host's apt configuration",
      }),
    ),
    components: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]*$', title: 'such as main' }), {
        minItems: 1,
        description: 'parts of the archive; default: main, for Ubuntu main and universe',
      }),
    ),
    packages: Type.Optional(
      Type.Array(packageName, {
        description: 'packages beside those that every image needs to boot and be reached',
      }),
    ),
    kernel: Type.Optional(
      Type.String({
        pattern: '^linux-[a-z0-9+.-]+$',
        title: 'a kernel package, such as linux-image-amd64',
        description: 'the kernel package; default: the one for virtual machines',
      }),
    ),
    boot: Type.Optional(
      Type.Array(Type.Union([Type.Literal('bios'), Type.Literal('uefi')]), {
        minItems: 1,
        description: 'firmware that the image boots by; default both',
      }),
    ),
    cloud_init: Type.Optional(
      Type.Boolean({
        description:
          'whether cloud-init sets a new machine up: its name, users, keys; default true',
      }),
    ),
    date: Type.Optional(
      Type.String({
        pattern: '^\\d{4}-\\d\\d-\\d\\d(T\\d\\d:\\d\\d:\\d\\dZ)?$',
        title: 'a date such as 2026-01-31',
        description:
          'the time that everything made by the build bears; default: the date of the release in the mirror',
      }),
    ),
  },
  { additionalProperties: false, description: 'how `build` makes the operating system' },
)

export const diskSchema = Type.Object(
  {
    size: Type.Optional(
      Type.String({
        pattern: '^\\d+(\\.\\d+)?\\s*([KMGTkmgt]([iI]?[bB])?)?$',
        title: 'a size such as 2G',
        description: 'size of the disk; the root grows on first boot; default 2G',
      }),
    ),
    file_system: Type.Optional(
      Type.Union([Type.Literal('ext4'), Type.Literal('xfs'), Type.Literal('btrfs')], {
        description: 'file system of the root; default ext4, the only one that is reproducible',
      }),
    ),
  },
  { additionalProperties: false, description: 'the disk that `build` makes' },
)

/** A recipe's `base`, as written. */
export type BaseKey = Static<typeof baseSchema>
/** A recipe's `disk`, as written. */
export type DiskKey = Static<typeof diskSchema>
