/** What of a cloud is used for a build: by the parameters where they say, else where there is no doubt. */
import { Failure } from '../../base/failure.ts'
import { formatSize, GiB, MiB } from '../../base/units.ts'
import type { Flavor } from '../../clouds/openstack/compute.ts'
import type { CloudImage } from '../../clouds/openstack/image.ts'
import type { Network } from '../../clouds/openstack/network.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import type { MediumOrder } from '../installer/media-cache.ts'
import type { OsName, Template } from '../template.ts'
import type { NovaOptions } from './nova-options.ts'

/** How a system comes onto the disk. */
export type Origin =
  /** It is there already. */
  | { readonly kind: 'image'; readonly image: CloudImage }
  /** The image installs onto its own disk. */
  | { readonly kind: 'installer'; readonly image: CloudImage }
  | { readonly kind: 'iso'; readonly image: CloudImage }
  /** An ISO that is not in the cloud yet. */
  | {
      readonly kind: 'iso-url'
      readonly url: string
      readonly checksum: MediumOrder['checksum']
    }

export interface Choice {
  readonly origin: Origin
  readonly flavor: Flavor
  readonly network: Network
  /** Undefined: one is made. */
  readonly securityGroupId: string | undefined
  /** Where a floating address comes from; undefined: none is wanted. */
  readonly floatingNetwork: Network | undefined
  readonly diskGiB: number
}

/**
 * Why there is nothing to begin with; undefined: there is. Looks at template and parameters only.
 */
export function whyNoOrigin(
  { install }: Template,
  { source_image, installer_image, installer_iso }: NovaOptions,
): string | undefined {
  const given = [source_image, installer_image, installer_iso].filter((one) => one !== undefined)
  if (given.length > 1) return 'one of source_image, installer_image and installer_iso is enough'
  if (given.length === 1 || install?.source.type === 'iso') return undefined
  return 'nothing says what to begin with: name a cloud image that has a system (source_image), or an installer (installer_image, installer_iso)'
}

/** Fails with CLOUD_NOT_FOUND, saying what there is; CLOUD_FAILED (no volume service); REQUEST_INVALID. */
export async function chooseInCloud(
  services: OpenStackServices,
  template: Template,
  options: NovaOptions,
): Promise<Choice> {
  const [origin, networks] = await Promise.all([
    chooseOrigin(services, template, options),
    services.network.listNetworks(),
  ])
  const needsVolume = origin.kind.startsWith('iso') || options.boot_from_volume === true
  if (needsVolume && !(await services.has('block-storage')))
    throw new Failure(
      'CLOUD_FAILED',
      `${services.name} has no volume service, which this build needs`,
      {
        fix: 'Use source_image or installer_image, without boot_from_volume.',
      },
    )
  await checkZone(services, options.availability_zone)
  const flavor = await chooseFlavor(services, origin, options, needsVolume)
  const wantedGiB = Math.ceil((template.install?.diskSize ?? 0) / GiB)
  return {
    origin,
    flavor,
    network: chooseNetwork(networks, options.network),
    securityGroupId: await chooseGroup(services, options.security_group),
    floatingNetwork: options.request_floating_ip ? chooseFloating(networks, options) : undefined,
    diskGiB: options.disk_size ?? (wantedGiB || Math.max(flavor.diskGiB, neededGiB(origin))),
  }
}

async function chooseOrigin(
  { image: images }: OpenStackServices,
  { install }: Template,
  { source_image, installer_image, installer_iso }: NovaOptions,
): Promise<Origin> {
  if (source_image !== undefined) return { kind: 'image', image: await images.find(source_image) }
  if (installer_image !== undefined)
    return { kind: 'installer', image: await images.find(installer_image) }
  if (installer_iso !== undefined) return { kind: 'iso', image: await images.find(installer_iso) }
  if (install?.source.type === 'iso') {
    const { url, checksum } = install.source
    return { kind: 'iso-url', url, checksum }
  }
  throw new Failure('REQUEST_INVALID', 'nothing says what to begin with: see source_image')
}

async function chooseFlavor(
  { compute }: OpenStackServices,
  origin: Origin,
  { flavor: wanted }: NovaOptions,
  onVolume: boolean,
): Promise<Flavor> {
  const flavors = await compute.listFlavors()
  if (wanted !== undefined) return demandNamed(flavors, wanted, 'flavor')
  const ramMiB = 'image' in origin ? origin.image.minRamMiB : 0
  const fits = flavors.filter(
    ({ diskGiB, ramMiB: ram }) =>
      ram >= Math.max(ramMiB, 512) && (onVolume || diskGiB === 0 || diskGiB >= neededGiB(origin)),
  )
  const [smallest] = fits.toSorted((a, b) => a.ramMiB - b.ramMiB || a.diskGiB - b.diskGiB)
  if (smallest !== undefined) return smallest
  throw new Failure('CLOUD_NOT_FOUND', `no flavor is large enough: ${flavorsOf(flavors)}`)
}

/** GiB that the image says it needs, or that it has at least. */
function neededGiB(origin: Origin): number {
  if (!('image' in origin) || origin.kind === 'iso') return 1
  const { minDiskGiB, size } = origin.image
  return Math.max(minDiskGiB, Math.ceil((size ?? 0) / GiB), 1)
}

function flavorsOf(flavors: readonly Flavor[]): string {
  if (flavors.length === 0) return 'there is none'
  return flavors
    .slice(0, 20)
    .map(
      ({ name, ramMiB, diskGiB }) =>
        `${name} (${formatSize(ramMiB * MiB)}, disk of ${diskGiB} GiB)`,
    )
    .join(', ')
}

function chooseNetwork(networks: readonly Network[], wanted: string | undefined): Network {
  if (wanted !== undefined) return demandNamed(networks, wanted, 'network')
  const inner = networks.filter(({ isExternal }) => !isExternal)
  const [only, ...others] = inner.length > 0 ? inner : networks
  if (only !== undefined && others.length === 0) return only
  throw unsure('network', networks, 'network')
}

function chooseFloating(networks: readonly Network[], { floating_network }: NovaOptions): Network {
  const external = networks.filter(({ isExternal }) => isExternal)
  if (floating_network !== undefined)
    return demandNamed(external, floating_network, 'external network')
  const [only, ...others] = external
  if (only !== undefined && others.length === 0) return only
  throw unsure('external network', external, 'floating_network')
}

async function chooseGroup(
  { network }: OpenStackServices,
  wanted: string | undefined,
): Promise<string | undefined> {
  if (wanted === undefined) return undefined
  return demandNamed(await network.listSecurityGroups(), wanted, 'security group').id
}

async function checkZone(
  { compute }: OpenStackServices,
  wanted: string | undefined,
): Promise<void> {
  if (wanted === undefined) return
  const zones = await compute.listZones()
  // `ZONE:HOST`, for who may say that.
  const named = zones.map((name) => ({ id: name, name }))
  demandNamed(named, wanted.split(':')[0] ?? wanted, 'availability zone')
}

interface NamedThing {
  readonly id: string
  readonly name: string
}

function demandNamed<One extends NamedThing>(
  all: readonly One[],
  wanted: string,
  what: string,
): One {
  const byName = all.filter(({ name }) => name === wanted)
  const found = all.find(({ id }) => id === wanted) ?? byName[0]
  if (byName.length > 1 && found === byName[0])
    throw new Failure('CLOUD_NOT_FOUND', `several ${what}s are called '${wanted}'; use an id`)
  if (found !== undefined) return found
  throw new Failure('CLOUD_NOT_FOUND', `no ${what} '${wanted}': ${listed(all)}`)
}

function unsure(what: string, all: readonly NamedThing[], parameter: string): Failure {
  return new Failure('CLOUD_NOT_FOUND', `no ${what} is the one to use: ${listed(all)}`, {
    fix: `Name one with the parameter ${parameter}.`,
  })
}

function listed(all: readonly NamedThing[]): string {
  const names = all.slice(0, 20).map(({ name, id }) => name || id)
  return names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`
}

/** Whom cloud images let in. Source: the distributions' pages on their cloud images. */
const USERS: readonly (readonly [RegExp, string])[] = [
  [/^debian/i, 'debian'],
  [/^ubuntu/i, 'ubuntu'],
  [/^fedora/i, 'fedora'],
  [/^centos-?[56]?$/i, 'centos'],
  [/^(centos|rhel|redhat)/i, 'cloud-user'],
  [/^(almalinux|alma)/i, 'almalinux'],
  [/^rocky/i, 'rocky'],
  [/^opensuse|^sles/i, 'opensuse'],
]

export function defaultUserOf(os: OsName | undefined): string {
  return USERS.find(([pattern]) => pattern.test(os?.name ?? ''))?.[1] ?? 'root'
}
