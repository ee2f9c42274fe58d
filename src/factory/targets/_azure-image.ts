/** Images of Azure's resource manager over a blob: managed images, and versions in a gallery. */
import type { ComputeManagementClient } from '@azure/arm-compute'
import { Failure, isFailure } from '../../base/failure.ts'
import type { PhaseScene } from '../os-builder.ts'
import { asking, type AzureProvider, need, removing } from './_azure-clients.ts'

export interface NewImage {
  /** For whom it is made. */
  readonly imageId: string
  readonly name: string
  readonly generation: 'V1' | 'V2'
  readonly architecture: 'x64' | 'Arm64'
  readonly version: string
  readonly blobUrl: string
  readonly tags: Readonly<Record<string, string>>
}

/** Where an image is, by the parts of its resource id. */
type Place =
  | { readonly kind: 'image'; readonly group: string; readonly image: string }
  | {
      readonly kind: 'definition'
      readonly group: string
      readonly gallery: string
      readonly definition: string
      readonly version?: string | undefined
    }

/** The resource id that an image has, or will have. Fails with CONFIG_INVALID. */
export function idOf(provider: AzureProvider, { name, version }: NewImage): string {
  if (provider.options.result !== 'gallery') return `${groupOf(provider)}/images/${name}`
  return `${definitionOf(provider)}/versions/${version}`
}

export function definitionOf(provider: AzureProvider): string {
  const gallery = need(provider, 'gallery')
  return `${groupOf(provider)}/galleries/${gallery}/images/${need(provider, 'definition')}`
}

function groupOf(provider: AzureProvider): string {
  const group = need(provider, 'resource_group')
  return `/subscriptions/${need(provider, 'subscription')}/resourceGroups/${group}/providers/Microsoft.Compute`
}

export async function createManagedImage(
  compute: ComputeManagementClient,
  provider: AzureProvider,
  { name, generation, blobUrl, tags, imageId }: NewImage,
  scene: PhaseScene,
): Promise<void> {
  const image = {
    location: need(provider, 'location'),
    hyperVGeneration: generation,
    storageProfile: {
      osDisk: { osType: 'Linux' as const, osState: 'Generalized' as const, blobUri: blobUrl },
    },
    tags: { ...tags, [MAKER]: imageId },
  }
  const group = need(provider, 'resource_group')
  const made = compute.images.createOrUpdate(group, name, image, pacedBy(provider, scene))
  await asking(`image ${name}`, made.pollUntilDone({ abortSignal: scene.signal }))
}

/** The tag that says for which image a resource was made. */
const MAKER = 'ingot-image'

/** For which image the resource of this id was made; null: it does not say; undefined: there is none. */
export async function makerOf(
  compute: ComputeManagementClient,
  id: string,
  abortSignal: AbortSignal,
): Promise<string | null | undefined> {
  const place = placeOf(id)
  const ask = async () => {
    if (place.kind === 'image')
      return await compute.images.get(place.group, place.image, { abortSignal })
    const { group, gallery, definition, version } = place
    if (version === undefined)
      return await compute.galleryImages.get(group, gallery, definition, { abortSignal })
    const { galleryImageVersions: versions } = compute
    return await versions.get(group, gallery, definition, version, { abortSignal })
  }
  try {
    const { tags } = await asking(id, ask())
    return tags?.[MAKER] ?? null
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return undefined
    throw error
  }
}

export async function createDefinition(
  compute: ComputeManagementClient,
  provider: AzureProvider,
  { generation, architecture, imageId }: NewImage,
  scene: PhaseScene,
): Promise<void> {
  const definition = need(provider, 'definition')
  const { publisher = 'ingot', offer = definition, sku = definition } = provider.options
  const made = compute.galleryImages.createOrUpdate(
    need(provider, 'resource_group'),
    need(provider, 'gallery'),
    definition,
    {
      location: need(provider, 'location'),
      osType: 'Linux',
      osState: 'Generalized',
      hyperVGeneration: generation,
      architecture,
      identifier: { publisher, offer, sku },
      tags: { [MAKER]: imageId },
    },
    pacedBy(provider, scene),
  )
  await asking(`definition ${definition}`, made.pollUntilDone({ abortSignal: scene.signal }))
}

export async function createVersion(
  compute: ComputeManagementClient,
  provider: AzureProvider,
  { version, blobUrl, tags, imageId }: NewImage,
  scene: PhaseScene,
): Promise<void> {
  const { options } = provider
  const location = need(provider, 'location')
  const group = options.storage_resource_group ?? need(provider, 'resource_group')
  const account = `/subscriptions/${need(provider, 'subscription')}/resourceGroups/${group}/providers/Microsoft.Storage/storageAccounts/${options.storage_account}`
  const made = compute.galleryImageVersions.createOrUpdate(
    need(provider, 'resource_group'),
    need(provider, 'gallery'),
    need(provider, 'definition'),
    version,
    {
      location,
      storageProfile: { osDiskImage: { source: { storageAccountId: account, uri: blobUrl } } },
      publishingProfile: {
        targetRegions: (options.regions ?? [location]).map((name) => ({ name })),
      },
      tags: { ...tags, [MAKER]: imageId },
    },
    pacedBy(provider, scene),
  )
  await asking(`version ${version}`, made.pollUntilDone({ abortSignal: scene.signal }))
}

/** Removes what has this resource id. That it is gone is success. Fails with CLOUD_FAILED for an id of another kind. */
export async function removeImage(
  compute: ComputeManagementClient,
  { options }: AzureProvider,
  id: string,
): Promise<void> {
  const place = placeOf(id)
  const updateIntervalInMs = (options.poll_seconds ?? 5) * 1000
  const paced = { updateIntervalInMs }
  if (place.kind === 'image')
    return await removing(
      id,
      compute.images.delete(place.group, place.image, paced).pollUntilDone(),
    )
  const { group, gallery, definition, version } = place
  const gone =
    version === undefined
      ? compute.galleryImages.delete(group, gallery, definition, paced)
      : compute.galleryImageVersions.delete(group, gallery, definition, version, paced)
  await removing(id, gone.pollUntilDone())
}

function placeOf(id: string): Place {
  const word = '([A-Za-z0-9_.()-]{1,90})'
  const base = `^/subscriptions/[^/]+/resourceGroups/${word}/providers/Microsoft.Compute`
  const [, group = '', image] = new RegExp(`${base}/images/${word}$`, 'i').exec(id) ?? []
  if (image !== undefined) return { kind: 'image', group, image }
  const version = `(?:/versions/${word})?`
  const inGallery = new RegExp(`${base}/galleries/${word}/images/${word}${version}$`, 'i').exec(id)
  if (inGallery === null) throw new Failure('CLOUD_FAILED', `${id} is no image of Azure's`)
  const [, owner = '', gallery = '', definition = '', number] = inGallery
  return { kind: 'definition', group: owner, gallery, definition, version: number }
}

function pacedBy({ options }: AzureProvider, { signal: abortSignal }: PhaseScene) {
  return { updateIntervalInMs: (options.poll_seconds ?? 5) * 1000, abortSignal }
}
