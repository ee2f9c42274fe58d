import { Failure } from '../../base/failure.ts'
import type { Facts } from '../../remotes/facts.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'
import type { ClearContext, Holding } from '../os-builder.ts'
import { isOurBlob, writePageBlob } from './_azure-blob.ts'
import { type AzureProvider, openCompute, openContainer, removing } from './_azure-clients.ts'
import {
  createDefinition,
  createManagedImage,
  createVersion,
  definitionOf,
  idOf,
  makerOf,
  type NewImage,
  removeImage,
} from './_azure-image.ts'
import {
  type AzureCredentials,
  azureCredentialsSchema,
  type AzureOptions,
  azureOptionsSchema,
  type AzureProviderOptions,
  azureProviderSchema,
} from './_azure-schemas.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'

type AzureJob = PushJob<AzureOptions, AzureProviderOptions, AzureCredentials>

/** A fixed VHD as a page blob, and over it a managed image or a version in a gallery. */
export const azureTarget = defineCloudTarget<AzureOptions, AzureProviderOptions, AzureCredentials>({
  name: 'azure',
  summary: 'Microsoft Azure: a managed image, a version in a gallery, or a page blob',
  options: azureOptionsSchema,
  provider: { options: azureProviderSchema, credentials: azureCredentialsSchema },
  fit: fitForAzure,
  format: () => 'vhd-fixed',
  push,
  remove: async ({ identifierOnProvider: id }, provider) => {
    if (id !== null) await removeThing(id, provider)
  },
  clear: async (things, provider, context) =>
    await clearEach(things, context, async (thing) => {
      const { id } = fieldsOf(thing)
      // What has the name may be somebody else's, for whose sake ours was not made.
      if (typeof id === 'string' && (await isOurs(id, provider, context)))
        await removeThing(id, provider)
    }),
})

/** Source: Azure, "Information for non-endorsed distributions": drivers of Hyper-V, the serial console, the agent. */
function fitForAzure(facts: Facts, { azure_agent = true }: AzureOptions): string | undefined {
  const agent = facts.distro === 'debian' ? 'waagent' : 'walinuxagent'
  return cloudFit(facts, {
    cloud: 'azure',
    datasources: ['Azure'],
    packages: azure_agent
      ? {
          debian: [agent, 'openssh-server'],
          redhat: ['WALinuxAgent', 'openssh-server'],
          suse: ['python-azure-agent', 'openssh'],
        }
      : {},
    drivers: ['hv_vmbus', 'hv_netvsc', 'hv_storvsc', 'nvme'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8', 'rootdelay=300'],
  })
}

async function push(job: AzureJob): Promise<Pushed> {
  const { provider, disk, image, options } = job
  const {
    result = 'image',
    parallel = 8,
    keep_blob = result === 'blob',
    prefix = '',
  } = provider.options
  const container = await openContainer(provider)
  const name = options.azure_name ?? nameOf(job.template.name, image.id)
  const blobName = `${prefix}${name}.vhd`
  const blob = container.getPageBlobClient(blobName)
  const noted = await job.holdings.add({ kind: 'blob', id: `blob:${blobName}` })
  const wholly = result === 'blob' ? 100 : 80
  await job.phase({ name: 'writing the VHD', from: 1, to: wholly }, async (scene) => {
    const vhd = await disk.open('vhd-fixed')
    const blobOrder = { name: blobName, imageId: image.id, disk: vhd, lanes: parallel }
    const sent = await writePageBlob(container, blobOrder, scene)
    job.log.event(`${sent} of ${vhd.size} bytes were sent; the rest is zeros`)
  })
  const blobUrl = withoutQuery(blob.url)
  const properties = { azure_name: name, ...(keep_blob && { blob_url: blobUrl }) }
  const account = provider.options.storage_account
  if (result === 'blob') return { identifier: `blob:${blobName}`, account, properties }
  const wanted: NewImage = {
    name,
    generation: options.azure_generation ?? 'V2',
    architecture:
      options.azure_architecture ?? (job.template.os?.arch === 'aarch64' ? 'Arm64' : 'x64'),
    version: options.azure_version ?? versionOf(image.createdAt),
    blobUrl,
    imageId: image.id,
    tags: options.azure_tags ?? {},
  }
  const identifier = await makeImage(job, wanted)
  if (!keep_blob) {
    await removing(blobName, blob.delete())
    await noted.drop()
  }
  return { identifier, account: provider.options.subscription, properties }
}

/** Names in Azure are ours to choose, so each thing is noted by its id before it is there. */
async function makeImage(job: AzureJob, wanted: NewImage): Promise<string> {
  const { provider } = job
  const compute = await openCompute(provider)
  const id = idOf(provider, wanted)
  return await job.phase({ name: 'making the image', from: 80, to: 100 }, async (scene) => {
    let definition: Holding | undefined
    const isVersion = provider.options.result === 'gallery'
    const maker = await makerOf(compute, id, scene.signal)
    if (maker !== undefined && maker !== wanted.imageId)
      throw new Failure('CLOUD_FAILED', `${id} is there already`, {
        fix: 'Name another azure_name or azure_version, or remove that one.',
      })
    if (isVersion && provider.options.create_definition === true) {
      const definitionId = definitionOf(provider)
      if ((await makerOf(compute, definitionId, scene.signal)) === undefined) {
        definition = await job.holdings.add({ kind: 'definition', id: definitionId })
        await createDefinition(compute, provider, wanted, scene)
      }
    }
    await job.holdings.add({ kind: 'image', id })
    if (isVersion) await createVersion(compute, provider, wanted, scene)
    else await createManagedImage(compute, provider, wanted, scene)
    await definition?.drop()
    job.log.event(`image ${id}`)
    return id
  })
}

/** Of a resource of the resource manager, or `blob:NAME`. */
async function removeThing(id: string, provider: AzureProvider): Promise<void> {
  const blobName = blobNameOf(id)
  if (blobName === undefined) return await removeImage(await openCompute(provider), provider, id)
  const container = await openContainer(provider)
  await removing(id, container.getPageBlobClient(blobName).delete())
}

async function isOurs(
  id: string,
  provider: AzureProvider,
  { imageId, signal }: Pick<ClearContext, 'imageId' | 'signal'>,
): Promise<boolean> {
  const blobName = blobNameOf(id)
  if (blobName === undefined)
    return (await makerOf(await openCompute(provider), id, signal)) === imageId
  const container = await openContainer(provider)
  return await isOurBlob(container.getPageBlobClient(blobName), imageId, signal)
}

function blobNameOf(id: string): string | undefined {
  return id.startsWith('blob:') ? id.slice('blob:'.length) : undefined
}

function withoutQuery(url: string): string {
  return url.replace(/\?.*$/, '')
}

function nameOf(template: string, imageId: string): string {
  const plain = template.replaceAll(/[^A-Za-z0-9_.-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return `${plain.slice(0, 60) || 'image'}-${imageId.slice(0, 8)}`
}

/** `2026.131.120000`: numbers that grow, without zeros before them. Source: Azure, names of image versions. */
function versionOf(at: Date): string {
  const day = (at.getUTCMonth() + 1) * 100 + at.getUTCDate()
  const second = at.getUTCHours() * 10_000 + at.getUTCMinutes() * 100 + at.getUTCSeconds()
  return `${at.getUTCFullYear()}.${day}.${second}`
}
