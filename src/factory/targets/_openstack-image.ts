/** An image as Glance is told of it, and how its data gets there. */
import { createHash } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { GiB } from '../../base/units.ts'
import type { CloudImage, ImageService, NewCloudImage } from '../../clouds/openstack/image.ts'
import type { FormattedDisk, PushJob } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { streamFormatted } from '../stream-formatted.ts'
import type {
  OpenstackCredentials,
  OpenstackOptions,
  OpenstackProviderOptions,
} from './_openstack-schemas.ts'
import { askUntil } from './_poll.ts'

export type OpenstackJob = PushJob<OpenstackOptions, OpenstackProviderOptions, OpenstackCredentials>

export function describeImage(job: OpenstackJob, id: string): NewCloudImage {
  const { options, provider, template, disk, image } = job
  const { is_public, container_format, min_disk, min_ram, visibility } = provider.options
  const seen =
    options.openstack_visibility ?? visibility ?? (is_public === true ? 'public' : undefined)
  return {
    id,
    name: options.openstack_name ?? (template.name || image.id),
    diskFormat: diskFormatOf(options),
    containerFormat: container_format ?? 'bare',
    minDiskGiB: options.openstack_min_disk ?? min_disk ?? Math.ceil(disk.size / GiB),
    minRamMiB: options.openstack_min_ram ?? min_ram ?? 0,
    ...(seen !== undefined && { visibility: seen }),
    ...(options.openstack_tags && { tags: options.openstack_tags }),
    properties: propertiesOf(job),
  }
}

/** What Glance calls it. */
export function diskFormatOf({ openstack_image_format = 'qcow2' }: OpenstackOptions): string {
  return openstack_image_format === 'raw' ? 'raw' : 'qcow2'
}

/** Source: Glance, "Useful image properties"; what a body's own facts say is told by its target image. */
function propertiesOf({
  options,
  template,
  targetImage,
  image,
}: OpenstackJob): Record<string, string> {
  const { name = '', version = '', arch = '' } = template.os ?? {}
  const isWindows = /^windows/i.test(name)
  const known = {
    architecture: arch === 'i386' ? 'i686' : arch,
    os_distro: name.toLowerCase().replace(/^(rhel|centos|scientificlinux)-\d+$/, '$1'),
    os_version: version,
    os_type: isWindows ? 'windows' : 'linux',
    hw_disk_bus: isWindows ? '' : 'virtio',
    hw_vif_model: isWindows ? '' : 'virtio',
    os_admin_user: options.openstack_admin_user ?? '',
    ingot_image: image.id,
    ...textsOf(targetImage.properties, ['os_distro', 'os_version', 'architecture']),
    ...options.openstack_properties,
  }
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== ''))
}

function textsOf(from: Readonly<Record<string, unknown>>, names: readonly string[]) {
  const texts: Record<string, string> = {}
  for (const name of names) {
    const value = from[name]
    if (typeof value === 'string') texts[name] = value
  }
  return texts
}

/** Stores that are named; undefined: wherever the service puts it. */
export function storesOf({ options, provider }: OpenstackJob): readonly string[] | undefined {
  return options.openstack_stores ?? provider.options.stores
}

export function isImported(job: OpenstackJob): boolean {
  const several = (storesOf(job)?.length ?? 0) > 1 || job.options.openstack_all_stores === true
  return job.provider.options.method === 'import' || several
}

/** The data, by digests that Glance may tell of. */
export function digested(disk: FormattedDisk, { signal, tell }: PhaseScene) {
  const hashes = { sha512: createHash('sha512'), sha256: createHash('sha256') }
  const stream = async function* () {
    for await (const chunk of streamFormatted(disk, signal, tell)) {
      for (const hash of Object.values(hashes)) hash.update(chunk)
      yield chunk
    }
  }
  return {
    data: { stream: stream(), size: disk.size },
    digests: () => ({
      sha512: hashes.sha512.digest('hex'),
      sha256: hashes.sha256.digest('hex'),
    }),
  }
}

/** Waits until Glance has taken the image in. Fails with CLOUD_FAILED and what it says of it. */
export async function awaitActive(
  service: ImageService,
  id: string,
  pollSeconds: number,
  { signal, tell }: PhaseScene,
): Promise<CloudImage> {
  return await askUntil(pollSeconds, signal, async () => {
    const image = await service.get(id)
    const { status, properties } = image
    tell(0, `waiting for image ${id}: it is ${status}`)
    const failed = properties['os_glance_failed_import'] ?? ''
    if (status === 'killed' || status === 'deleted' || failed !== '')
      throw new Failure(
        'CLOUD_FAILED',
        `image ${id} is ${status}${failed === '' ? '' : `; its import failed in ${failed}`}`,
      )
    return status === 'active' && (properties['os_glance_importing_to_stores'] ?? '') === ''
      ? image
      : undefined
  })
}

/**
 * What arrived is what was sent, as far as Glance tells; one that converts what it imports has other bytes, and says of which
 * format. Fails with CLOUD_FAILED.
 */
export function checkArrived(
  { id, size, digest, diskFormat }: CloudImage,
  sent: { readonly size: number; readonly diskFormat: string; readonly digests: Digests },
): void {
  if (diskFormat !== sent.diskFormat) return
  if (size !== null && size !== sent.size)
    throw new Failure('CLOUD_FAILED', `image ${id} has ${size} bytes there; ${sent.size} were sent`)
  const wanted = digest && sent.digests[digest.algorithm.toLowerCase()]
  if (digest && wanted !== undefined && wanted !== digest.value.toLowerCase())
    throw new Failure(
      'CLOUD_FAILED',
      `image ${id}: ${digest.algorithm} there is ${digest.value}; what was sent has ${wanted}`,
    )
}

type Digests = Readonly<Record<string, string>>
