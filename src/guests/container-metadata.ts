/** What container managers want to be told beside a root: pure texts, the same for the same guest. */
import type { Facts } from '../remotes/facts.ts'

export interface ContainerFacts {
  readonly guest: Facts
  /** Seconds since 1970 at which the root was made. */
  readonly madeAt: number
  /** Paths in the root, without a leading slash, at which devices stand. */
  readonly devices: readonly string[]
}

/** Small files by name. */
export type MetadataFiles = Readonly<Record<string, string>>

const HOSTNAME = '/etc/hostname'

/**
 * What stands beside the root of an Incus or LXD image. Containers made of it get a host name of
 * their own. Source: Incus, "Image format".
 */
export function incusMetadata({ guest, madeAt }: ContainerFacts): MetadataFiles {
  const { distro, architecture, prettyName } = guest
  const serial = serialOf(madeAt)
  const release = releaseOf(guest)
  const properties = {
    architecture,
    description: `${prettyName} ${architecture} (${serial})`,
    name: [distro, release, architecture, 'default', serial].join('-'),
    os: distro,
    release,
    serial,
    variant: 'default',
  }
  const lines = [
    `architecture: ${JSON.stringify(architecture)}`,
    `creation_date: ${madeAt}`,
    'properties:',
    ...Object.entries(properties).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`),
    'templates:',
    `  ${HOSTNAME}:`,
    '    when: [create, copy]',
    '    template: hostname.tpl',
  ]
  return {
    'metadata.yaml': `${lines.join('\n')}\n`,
    'templates/hostname.tpl': '{{ container.name }}\n',
  }
}

/**
 * What `lxc-create --template local` (and `download`) reads: how to run the container, as root and as
 * a user, who is not allowed to make devices. Source: LXC, templates/lxc-local.in.
 */
export function lxcMetadata({ guest, devices }: ContainerFacts): MetadataFiles {
  const config = [
    'lxc.include = LXC_TEMPLATE_CONFIG/common.conf',
    `lxc.arch = ${guest.architecture}`,
  ]
  const forUsers = ['lxc.include = LXC_TEMPLATE_CONFIG/userns.conf']
  // The list is read by a shell: what it would take apart or expand stays in the archive.
  const excluded = devices.filter((path) => /^[\w./:+,=@-]+$/.test(path))
  return {
    config: toText(config),
    'config-user': toText([...config, ...forUsers]),
    'excludes-user': toText(excluded),
    'create-message': toText([`This is ${guest.prettyName.replaceAll(/\p{C}/gu, '')}.`]),
  }
}

function toText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

/** `20250102_03:04`, as image servers count their images. */
function serialOf(seconds: number): string {
  const time = new Date(seconds * 1000).toISOString()
  return `${time.slice(0, 10).replaceAll('-', '')}_${time.slice(11, 16)}`
}

function releaseOf({ codename, version }: Facts): string {
  return codename || version || 'current'
}
