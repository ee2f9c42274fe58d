/** What every public kind of cloud wants of a Linux guest, as a recipe; each cloud says the rest of it. */
import { stringify } from 'yaml'
import type { Facts, Family } from '../../remotes/facts.ts'

export interface CloudFit {
  /** `ec2`: it stands in names of files that are made. */
  readonly cloud: string
  /** Where cloud-init looks for the machine's data, the surest first. Left out: cloud-init is not needed. */
  readonly datasources?: readonly string[]
  /** By family; those that it does not have are not asked for. */
  readonly packages?: Partial<Record<Family, readonly string[]>>
  /** Drivers without which it does not boot, for guests whose initramfs has only those of the machine it was made on. */
  readonly drivers?: readonly string[]
  /** `console=ttyS0,115200n8` */
  readonly kernelArguments?: readonly string[]
  /** Steps behind these. */
  readonly more?: readonly object[]
}

/** The recipe, as YAML; undefined for a guest of a kind that we do not know: it is left as it is. */
export function cloudFit({ family }: Pick<Facts, 'family'>, wanted: CloudFit): string | undefined {
  if (family === undefined) return undefined
  const {
    cloud,
    datasources,
    packages = {},
    drivers = [],
    kernelArguments = [],
    more = [],
  } = wanted
  const names = [...(datasources ? ['cloud-init'] : []), ...(packages[family] ?? [])]
  return stringify({
    name: `fit-${cloud}`,
    description: `what ${cloud} wants of a guest`,
    validators: [
      ...(names.length > 0 ? [{ package: names }] : []),
      ...(datasources ? [datasourceFile(cloud, datasources)] : []),
      ...driverSteps(cloud, family, drivers),
      ...kernelArguments.map((argument) => ({ kernel_argument: argument })),
      ROOT_BY_KEY_ONLY,
      ...more,
    ],
  })
}

function datasourceFile(cloud: string, datasources: readonly string[]): object {
  const content = `# ${cloud}: nothing else is asked, so nothing else is waited for\ndatasource_list: [ ${datasources.join(', ')} ]\n`
  return { file: { path: `/etc/cloud/cloud.cfg.d/95-ingot-${cloud}.cfg`, content } }
}

/**
 * Dracut makes an initramfs for the machine it runs on, unless it is told; that of Debian has all drivers.
 * Source: dracut.conf(5), add_drivers.
 */
function driverSteps(cloud: string, family: Family, drivers: readonly string[]): object[] {
  if (drivers.length === 0 || (family !== 'redhat' && family !== 'suse')) return []
  const path = `/etc/dracut.conf.d/ingot-${cloud}.conf`
  const list = drivers.join(' ')
  const newest = 'ls /boot/initramfs-*.img /boot/initrd-* 2>/dev/null | grep -v -e rescue -e kdump'
  return [
    { file: { path, content: `add_drivers+=" ${list} "\n` } },
    {
      command: {
        run: 'dracut --force --regenerate-all',
        unless: `for image in $(${newest}); do [ "$image" -nt ${path} ] || exit 1; done`,
      },
    },
  ]
}

/** Whoever starts a machine gives a key; a password of root's would open the door to all the world. */
const ROOT_BY_KEY_ONLY = {
  name: 'root logs in by key only',
  line: {
    path: '/etc/ssh/sshd_config',
    pattern: String.raw`^#?\s*PermitRootLogin\b`,
    line: 'PermitRootLogin prohibit-password',
  },
} as const
