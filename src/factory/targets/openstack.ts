import { randomUUID } from 'node:crypto'
import { isFailure } from '../../base/failure.ts'
import type { ImageService } from '../../clouds/openstack/image.ts'
import type { OpenStack } from '../../clouds/openstack/openstack.ts'
import type { Facts } from '../../remotes/facts.ts'
import { type CloudTarget, defineCloudTarget, type Pushed } from '../cloud-target.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { type OpenNamedCloud, openProviderCloud } from './_openstack-cloud.ts'
import {
  awaitActive,
  checkArrived,
  describeImage,
  diskFormatOf,
  digested,
  isImported,
  type OpenstackJob,
  storesOf,
} from './_openstack-image.ts'
import {
  type OpenstackCredentials,
  openstackCredentialsSchema,
  type OpenstackOptions,
  openstackOptionsSchema,
  type OpenstackProviderOptions,
  openstackProviderSchema,
} from './_openstack-schemas.ts'

export interface OpenstackTargetParts {
  /** Left out: no provider may name a cloud of clouds.yaml. */
  readonly openCloud?: OpenNamedCloud
}

/** An image in Glance, uploaded or imported. */
export function makeOpenstackTarget({ openCloud }: OpenstackTargetParts = {}): CloudTarget<
  OpenstackOptions,
  OpenstackProviderOptions,
  OpenstackCredentials
> {
  return defineCloudTarget<OpenstackOptions, OpenstackProviderOptions, OpenstackCredentials>({
    name: 'openstack',
    aliases: ['openstack-kvm'],
    summary: 'OpenStack: an image in Glance, uploaded or imported into one store or several',
    options: openstackOptionsSchema,
    provider: { options: openstackProviderSchema, credentials: openstackCredentialsSchema },
    fit: fitForOpenstack,
    format: ({ openstack_image_format = 'qcow2' }) => openstack_image_format,
    push: async (job) => {
      await using cloud = await openProviderCloud(job.provider, openCloud, job.context)
      const pushed = await pushTo(cloud, job)
      const account = await cloud.projectId()
      job.log.event(`image ${pushed.identifier} in ${cloud.name}`)
      return { ...pushed, account }
    },
    remove: async ({ identifierOnProvider: id }, provider, context) => {
      if (id === null) return
      await using cloud = await openProviderCloud(provider, openCloud, context)
      await removeImage(cloud.image, id)
    },
    clear: async (things, provider, context) => {
      await using cloud = await openProviderCloud(provider, openCloud, context)
      return await clearEach(things, context, async (thing) => {
        const { kind, id } = fieldsOf(thing)
        if (kind === 'image' && typeof id === 'string') await removeImage(cloud.image, id)
      })
    },
  })
}

/** As by a cloud without a `clouds.yaml`. */
export const openstackTarget = makeOpenstackTarget()

/** Upstream's clean-up, and what an instance of OpenStack needs beside. */
function fitForOpenstack(facts: Facts): string | undefined {
  return cloudFit(facts, {
    cloud: 'openstack',
    datasources: ['ConfigDrive', 'OpenStack', 'None'],
    packages: { debian: ['cloud-guest-utils', 'openssh-server'], redhat: ['openssh-server'] },
    drivers: ['virtio_blk', 'virtio_net', 'virtio_scsi', 'virtio_pci'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
    more: [
      // They bind names of network cards to the machine that the image was made on.
      ...['70-persistent-net.rules', '75-persistent-net-generator.rules'].map((rules) => ({
        file: { path: `/etc/udev/rules.d/${rules}`, absent: true },
      })),
      ...(facts.family === 'redhat'
        ? [
            {
              line: {
                path: '/etc/sysconfig/network-scripts/ifcfg-eth0',
                pattern: '^(HWADDR|UUID)=',
                absent: true,
              },
            },
            {
              file: {
                path: '/etc/sysconfig/cloud-info',
                content: 'CLOUD_TYPE="openstack"\nexport CLOUD_TYPE\n',
              },
            },
          ]
        : []),
    ],
  })
}

async function pushTo(cloud: OpenStack, job: OpenstackJob): Promise<Pushed> {
  const { options, disk, provider } = job
  const { poll_seconds = 3 } = provider.options
  const id = randomUUID()
  const formatted = await job.phase(
    { name: 'preparing the image', from: 0, to: 5 },
    async () => await disk.open(options.openstack_image_format ?? 'qcow2'),
  )
  await job.holdings.add({ kind: 'image', id })
  await cloud.image.create(describeImage(job, id))
  const digests = await job.phase({ name: 'sending the image', from: 5, to: 85 }, async (scene) => {
    const sending = digested(formatted, scene)
    await sendData(cloud.during(scene.signal).image, job, id, sending.data)
    return sending.digests()
  })
  const image = await job.phase(
    { name: 'waiting for the image', from: 85, to: 100 },
    async (scene) => await awaitActive(cloud.during(scene.signal).image, id, poll_seconds, scene),
  )
  checkArrived(image, { size: formatted.size, diskFormat: diskFormatOf(options), digests })
  if (options.openstack_protected === true) await cloud.image.change(id, { protected: true })
  const { stores } = image.properties
  return {
    identifier: id,
    properties: {
      glance_id: id,
      glance_name: image.name,
      'x-image-properties-glance_id': id,
      ...(stores !== undefined && { stores }),
    },
  }
}

async function sendData(
  service: ImageService,
  job: OpenstackJob,
  id: string,
  data: { readonly stream: AsyncIterable<Uint8Array>; readonly size: number },
): Promise<void> {
  const stores = storesOf(job)
  if (!isImported(job)) return await service.upload(id, data, stores?.[0])
  await service.stage(id, data)
  await service.import(id, {
    method: 'glance-direct',
    ...(job.options.openstack_all_stores === true
      ? { allStores: true }
      : stores !== undefined && { stores }),
  })
}

/** One that was protected by us is ours to remove. */
async function removeImage(service: ImageService, id: string): Promise<void> {
  try {
    await service.delete(id)
  } catch (error) {
    if (!isFailure(error, 'CLOUD_DENIED')) throw error
    await service.change(id, { protected: false })
    await service.delete(id)
  }
}
