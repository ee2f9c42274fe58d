import type { Context } from '../../base/context.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { Json } from '../../tasks/task.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { startSnapshot, writeSnapshot } from './_ebs-snapshot.ts'
import { type Ec2Clients, type Ec2Provider, openEc2 } from './_ec2-clients.ts'
import {
  awaitSnapshot,
  findImage,
  findImports,
  findSnapshots,
  IMAGE_TAG,
  registerImage,
  removeImage,
  removeSnapshot,
  shareImage,
  tagSnapshot,
} from './_ec2-image.ts'
import { awaitImport, cancelImport, openBucket, sendObject, startImport } from './_ec2-import.ts'
import {
  type Ec2Credentials,
  ec2CredentialsSchema,
  type Ec2Options,
  ec2OptionsSchema,
  type Ec2ProviderOptions,
  ec2ProviderSchema,
} from './_ec2-schemas.ts'

type Ec2Job = PushJob<Ec2Options, Ec2ProviderOptions, Ec2Credentials>

/** A snapshot of the disk, and an AMI over it. */
export const ec2Target = defineCloudTarget<Ec2Options, Ec2ProviderOptions, Ec2Credentials>({
  name: 'ec2',
  summary: 'Amazon EC2: an AMI, its snapshot written by blocks or imported from S3',
  options: ec2OptionsSchema,
  provider: { options: ec2ProviderSchema, credentials: ec2CredentialsSchema },
  fit: fitForEc2,
  format: ({ ec2_format = 'raw' }) => ec2_format,
  push,
  remove: async ({ id: imageId, identifierOnProvider: id }, provider) => {
    using clients = await openEc2(provider)
    if (id !== null) await removeImage(clients, id)
    // Of a removal that ended after the AMI was gone.
    for (const snapshot of await findSnapshots(clients, imageId))
      await removeSnapshot(clients, snapshot)
  },
  clear: async (things, provider, context) => {
    using clients = await openEc2(provider)
    return await clearEach(things, context, (thing) =>
      clearThing(thing, clients, provider, context),
    )
  },
})

/**
 * Source: Amazon EC2, "Requirements for VM Import", "Enable enhanced networking with ENA", and "Amazon EBS and NVMe": disks
 * are NVMe, and one that is slow must not be given up.
 */
function fitForEc2(facts: Facts): string | undefined {
  return cloudFit(facts, {
    cloud: 'ec2',
    datasources: ['Ec2', 'None'],
    packages: { debian: ['cloud-guest-utils', 'openssh-server'], redhat: ['openssh-server'] },
    drivers: ['nvme', 'ena', 'xen-blkfront', 'xen-netfront'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8', 'nvme_core.io_timeout=4294967295'],
  })
}

async function push(job: Ec2Job): Promise<Pushed> {
  const { provider, options, image, template, context } = job
  using clients = await openEc2(provider)
  const name = options.ec2_name ?? nameOf(template.name, image.id)
  const tags = tagsOf(job, name)
  const snapshot =
    provider.options.via === 's3'
      ? await importByBucket(job, clients, tags)
      : await writeByBlocks(job, clients, tags)
  const { account } = await job.phase(
    { name: 'waiting for the snapshot', from: 85, to: 95 },
    async (scene) => await awaitSnapshot(clients, provider, snapshot, scene),
  )
  return await job.phase({ name: 'registering the AMI', from: 95, to: 100 }, async (scene) => {
    const noted = await job.holdings.add({ kind: 'ami' })
    const architecture = options.ec2_architecture ?? architectureOf(template.os?.arch)
    const wanted = { name, architecture, snapshot, options, tags }
    const identifier = await registerImage(clients, wanted, image.id, scene)
    await noted.update({ kind: 'ami', id: identifier })
    await shareImage(clients, identifier, options, { signal: scene.signal })
    job.log.event(`AMI ${identifier} in ${provider.options.region}`)
    context.log.info('ec2.registered', { identifier, snapshot })
    return { identifier, account, properties: { snapshot_id: snapshot, ami_name: name } }
  })
}

type Tags = readonly { readonly Key: string; readonly Value: string }[]

async function writeByBlocks(job: Ec2Job, clients: Ec2Clients, tags: Tags): Promise<string> {
  const { provider, disk, image, context } = job
  await job.holdings.add({ kind: 'snapshot' })
  const token = `${image.id}-${job.attempt}`
  const begin = { token, description: descriptionOf(job), tags }
  const { id } = await startSnapshot(clients, provider, disk, begin, context)
  return await job.phase({ name: 'writing the snapshot', from: 1, to: 85 }, async (scene) => {
    const { blocks } = await writeSnapshot(clients, provider, disk, id, scene)
    job.log.event(`${blocks} blocks of 512 KiB were written to snapshot ${id}`)
    return id
  })
}

async function importByBucket(job: Ec2Job, clients: Ec2Clients, tags: Tags): Promise<string> {
  const { provider, disk, image, options, context } = job
  const format = ec2Target.format(options)
  const key = `${image.id}.${format}`
  await using bucket = await openBucket(provider, context)
  const object = await job.holdings.add({ kind: 'object', key })
  await job.phase({ name: 'sending the disk to the bucket', from: 1, to: 60 }, async (scene) => {
    const formatted = await disk.open(format)
    await sendObject(bucket, key, formatted, scene)
    job.log.event(`${formatted.size} bytes were sent to ${key}`)
  })
  await job.holdings.add({ kind: 'import' })
  const id = await job.phase(
    { name: 'importing the snapshot', from: 60, to: 85 },
    async (scene) => {
      const wanted = {
        token: `${image.id}-${job.attempt}`,
        key,
        format: format === 'vhd' ? ('VHD' as const) : ('RAW' as const),
        description: descriptionOf(job),
        tags,
      }
      const task = await startImport(clients, provider, wanted, scene)
      return await awaitImport(clients, provider, task, scene)
    },
  )
  await tagSnapshot(clients, id, tags, context)
  await bucket.remove(key)
  await object.drop()
  return id
}

/** Things are found by their tag, so that one is removed of which only the beginning was noted. */
async function clearThing(
  thing: Json,
  clients: Ec2Clients,
  provider: Ec2Provider,
  context: Context & { readonly imageId: string },
): Promise<void> {
  const { imageId } = context
  const { kind, key } = fieldsOf(thing)
  if (kind === 'ami') {
    const id = await findImage(clients, imageId)
    if (id !== undefined) await removeImage(clients, id)
  } else if (kind === 'snapshot')
    for (const id of await findSnapshots(clients, imageId)) await removeSnapshot(clients, id)
  else if (kind === 'import')
    for (const { task, snapshot } of await findImports(clients, imageId)) {
      await cancelImport(clients, task)
      if (snapshot !== undefined) await removeSnapshot(clients, snapshot)
    }
  else if (kind === 'object' && typeof key === 'string') {
    await using bucket = await openBucket(provider, context)
    await bucket.remove(key)
  }
}

/** Source: EC2, RegisterImage: 3 to 128 of these characters. */
function nameOf(template: string, imageId: string): string {
  return `${template.replaceAll(/[^A-Za-z0-9()[\] ./'@_-]/g, '-').slice(0, 90)}-${imageId.slice(0, 8)}`
}

function tagsOf({ image, options }: Ec2Job, name: string): Tags {
  const all = { Name: name, ...options.ec2_tags, [IMAGE_TAG]: image.id }
  return Object.entries(all).map(([Key, Value]) => ({ Key, Value }))
}

function descriptionOf({ template, image }: Ec2Job): string {
  return `${template.name.slice(0, 200)} (${image.id})`
}

function architectureOf(arch = 'x86_64'): 'x86_64' | 'arm64' | 'i386' {
  if (arch === 'aarch64') return 'arm64'
  return arch === 'i386' ? 'i386' : 'x86_64'
}
