import { Failure, isFailure } from '../../base/failure.ts'
import { askRest, askToRemove } from '../../clouds/ask-rest.ts'
import type { Facts } from '../../remotes/facts.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { type GceProvider, type Google, openGoogle } from './_gce-client.ts'
import { removeObject, sendObject } from './_gce-object.ts'
import {
  type GceCredentials,
  gceCredentialsSchema,
  type GceOptions,
  gceOptionsSchema,
  type GceProviderOptions,
  gceProviderSchema,
} from './_gce-schemas.ts'
import { askUntil } from './_poll.ts'

type GceJob = PushJob<GceOptions, GceProviderOptions, GceCredentials>

const LABEL = 'ingot-image'

/** A sparse archive in a bucket, and an image of it. */
export const gceTarget = defineCloudTarget<GceOptions, GceProviderOptions, GceCredentials>({
  name: 'gce',
  summary: 'Google Compute Engine: an image, by way of a bucket',
  options: gceOptionsSchema,
  provider: { options: gceProviderSchema, credentials: gceCredentialsSchema },
  fit: fitForGce,
  format: () => 'gce',
  push,
  remove: async ({ identifierOnProvider: name }, provider, { signal }) => {
    await using google = await openGoogle(provider)
    if (name !== null) await removeImage(google, provider, name, signal)
  },
  clear: async (things, provider, context) => {
    const { signal, imageId } = context
    await using google = await openGoogle(provider)
    return await clearEach(things, context, async (thing) => {
      const { kind, name } = fieldsOf(thing)
      if (typeof name !== 'string') return
      if (kind === 'object')
        await removeObject(google, { bucket: provider.options.bucket, name }, signal)
      if (kind === 'image' && (await isOurs(google, name, imageId, signal)))
        await removeImage(google, provider, name, signal)
    })
  },
})

/** Source: Compute Engine, "Configure imported images": the console, virtio-scsi, NTP and DHCP of the host. */
function fitForGce(facts: Facts): string | undefined {
  return cloudFit(facts, {
    cloud: 'gce',
    datasources: ['GCE', 'None'],
    packages: {
      debian: ['cloud-guest-utils', 'openssh-server'],
      redhat: ['openssh-server'],
      suse: ['openssh'],
    },
    drivers: ['virtio_scsi', 'virtio_net', 'virtio_pci', 'nvme', 'gve'],
    kernelArguments: ['console=ttyS0,38400n8'],
  })
}

async function push(job: GceJob): Promise<Pushed> {
  const { provider, disk, image, options, context } = job
  await using google = await openGoogle(provider)
  const { bucket } = provider.options
  const name = options.gce_image_name ?? nameOf(job.template.name, image.id)
  const object = { bucket, name: options.gce_object_name ?? `${name}.tar.gz` }
  const noted = await job.holdings.add({ kind: 'object', name: object.name })
  await job.phase({ name: 'sending the disk to the bucket', from: 1, to: 70 }, async (scene) => {
    const archive = await disk.open('gce')
    await sendObject(google, object, archive, scene)
    job.log.event(`${archive.size} bytes were sent to ${bucket}/${object.name}`)
  })
  const link = await job.phase({ name: 'making the image', from: 70, to: 98 }, async (scene) => {
    await job.holdings.add({ kind: 'image', name })
    const { json } = await askRest(google.rest, {
      method: 'POST',
      url: `${google.compute}/global/images?requestId=${context.newId()}`,
      json: insertion(job, name, object.name),
      repeatable: true, // the same requestId is the same image
      signal: scene.signal,
    })
    return await awaitOperation(google, provider, json, scene.signal, scene.tell)
  })
  await removeObject(google, object, context.signal)
  await noted.drop()
  job.log.event(`image ${name}`)
  return {
    identifier: name,
    account: google.project,
    properties: link === undefined ? {} : { self_link: link },
  }
}

/** Source: Compute Engine, images.insert. */
function insertion(
  { options, provider, template, image }: GceJob,
  name: string,
  object: string,
): object {
  const { gce_features = ['UEFI_COMPATIBLE', 'VIRTIO_SCSI_MULTIQUEUE', 'GVNIC'] } = options
  return {
    name,
    description: options.gce_description ?? template.description,
    ...(options.gce_image_family !== undefined && { family: options.gce_image_family }),
    architecture:
      options.gce_architecture ?? (template.os?.arch === 'aarch64' ? 'ARM64' : 'X86_64'),
    sourceType: 'RAW',
    rawDisk: {
      containerType: 'TAR',
      source: `https://storage.googleapis.com/${provider.options.bucket}/${object}`,
    },
    guestOsFeatures: gce_features.map((type) => ({ type })),
    labels: { ...options.gce_labels, [LABEL]: image.id },
    ...(options.gce_licenses && { licenses: options.gce_licenses }),
    ...(options.gce_locations && { storageLocations: options.gce_locations }),
  }
}

interface Operation {
  readonly name?: string
  readonly status?: string
  readonly progress?: number
  readonly targetLink?: string
  readonly error?: {
    readonly errors?: readonly { readonly code?: string; readonly message?: string }[]
  }
}

/** Waits for what was begun; the address of what it was about. Fails with CLOUD_FULL, CLOUD_FAILED. */
async function awaitOperation(
  { rest, compute }: Google,
  { options: { poll_seconds = 5 } }: GceProvider,
  begun: unknown,
  signal: AbortSignal,
  tell: (fraction: number) => void = () => {},
): Promise<string | undefined> {
  const { name } = (begun ?? {}) as Operation
  if (name === undefined || name === '')
    throw new Failure('CLOUD_FAILED', 'Google named no operation to wait for')
  const url = `${compute}/global/operations/${encodeURIComponent(name)}`
  const ended = await askUntil(poll_seconds, signal, async () => {
    const operation = (await askRest(rest, { url, signal })).json as Operation
    tell(Math.min((operation.progress ?? 0) / 100, 1))
    return operation.status === 'DONE' ? operation : undefined
  })
  const [error] = ended.error?.errors ?? []
  if (error !== undefined)
    throw new Failure(
      /QUOTA/.test(error.code ?? '') ? 'CLOUD_FULL' : 'CLOUD_FAILED',
      `Google: ${error.code}: ${error.message?.slice(0, 500)}`,
    )
  return ended.targetLink
}

async function removeImage(
  google: Google,
  provider: GceProvider,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const begun = await askToRemove(google.rest, { url: imageUrl(google, name), signal })
  if (begun !== undefined) await awaitOperation(google, provider, begun.json, signal)
}

/** Whether the image of this name is the one that was made for ours: names are anybody's. */
async function isOurs(
  google: Google,
  name: string,
  imageId: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { json } = await askRest(google.rest, { url: imageUrl(google, name), signal })
    return (json as { labels?: Record<string, string> }).labels?.[LABEL] === imageId
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return false
    throw error
  }
}

function imageUrl({ compute }: Google, name: string): string {
  return `${compute}/global/images/${encodeURIComponent(name)}`
}

/** Source: RFC 1035 names, as Compute Engine wants them. */
function nameOf(template: string, imageId: string): string {
  const plain = template
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+/, '')
  return `${plain.slice(0, 50) || 'image'}-${imageId.slice(0, 8)}`
}
