import {
  type Artifact,
  defineCloudTarget,
  type Provider,
  type Pushed,
  type PushJob,
} from '../cloud-target.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import {
  type Blob,
  type ContainerImage,
  describeContainer,
  dockerArchive,
  MEDIA,
  ociLayout,
} from './_container-image.ts'
import {
  type ContainerJob,
  type Layer,
  type LayerPacking,
  makeDiskLayer,
  makeRootLayer,
} from './_container-layer.ts'
import {
  type ContainerCredentials,
  containerCredentialsSchema,
  type ContainerOptions,
  containerOptionsSchema,
  type ContainerProviderOptions,
  containerProviderSchema,
} from './_container-schemas.ts'
import { PACKING_ENDINGS, packedStream } from './_packed-stream.ts'
import { openRegistry, type Registry } from './_registry.ts'
import { tarLength, tarStream } from './_tar-stream.ts'

type ContainerProvider = Provider<ContainerProviderOptions, ContainerCredentials>
type ContainerPush = PushJob<ContainerOptions, ContainerProviderOptions, ContainerCredentials>

/** The guest's files as a container image, or its disk as one for KubeVirt. */
export const containerTarget = defineCloudTarget<
  ContainerOptions,
  ContainerProviderOptions,
  ContainerCredentials
>({
  name: 'container',
  aliases: ['docker', 'oci'],
  summary: 'containers: the root as an OCI or Docker archive, or in a registry; disks for KubeVirt',
  options: containerOptionsSchema,
  provider: { options: containerProviderSchema, credentials: containerCredentialsSchema },
  format: ({ container_content, container_disk_format = 'qcow2' }) =>
    container_content === 'disk' ? container_disk_format : 'raw',
  refuses: ({ container_content, create_docker_metadata }) =>
    container_content === 'disk' && create_docker_metadata === false
      ? 'create_docker_metadata false gives a tar of the root, which container_content disk has not'
      : undefined,
  openArtifact,
  push,
  remove: async ({ identifierOnProvider: identifier }, provider, { signal }) => {
    const [, repository, digest] =
      /^[^/]+\/(.+)@(sha256:[0-9a-f]{64})$/.exec(identifier ?? '') ?? []
    if (repository === undefined || digest === undefined) return
    await using registry = registryOf(provider, signal)
    await registry.deleteManifest(repository, digest)
  },
  clear: async (things, provider, context) => {
    await using registry = registryOf(provider, context.signal)
    return await clearEach(things, context, (thing) => clearThing(registry, fieldsOf(thing)))
  },
})

/** An archive that holds the image; its layer is made in the job's directory. */
async function openArtifact(job: ContainerJob): Promise<Artifact> {
  const { options, context } = job
  const isDocker = options.container_archive === 'docker'
  const isPlain = options.create_docker_metadata === false
  // Docker's archives have layers as they are; they are packed as a whole.
  const layer = await makeLayer(job, isDocker || isPlain ? 'none' : undefined, context.signal)
  const image = describeContainer(job, layer)
  const { compress = 'none' } = options
  const kind = isPlain ? '' : isDocker ? '.docker' : '.oci'
  const files = isDocker ? dockerArchive(image) : ociLayout(image)
  const fileName = `${image.repository.replaceAll('/', '-')}${kind}.tar${PACKING_ENDINGS[compress]}`
  const size = isPlain ? layer.size : tarLength(files)
  return {
    fileName,
    mediaType: compress === 'none' ? 'application/x-tar' : 'application/octet-stream',
    size: compress === 'none' ? size : undefined,
    stream: (signal) =>
      packedStream(isPlain ? layer.stream(signal) : tarStream(files, signal), compress, signal),
  }
}

async function makeLayer(
  job: ContainerJob,
  wanted: LayerPacking | undefined,
  signal: AbortSignal,
): Promise<Layer> {
  const { container_content, container_compression } = job.options
  if (container_content === 'disk')
    return await makeDiskLayer(job, wanted ?? container_compression ?? 'none', signal)
  return await makeRootLayer(job, wanted ?? container_compression ?? 'gzip', signal)
}

async function push(job: ContainerPush): Promise<Pushed> {
  const { provider, holdings } = job
  const { registry: host, prefix } = provider.options
  const layer = await job.phase(
    { name: 'making the layer', from: 0, to: 40 },
    async ({ signal }) => await makeLayer(job, undefined, signal),
  )
  const image = describeContainer(job, layer)
  const repository = prefix === undefined ? image.repository : `${prefix}/${image.repository}`
  const digest = `sha256:${image.manifest.digest}`
  await job.phase({ name: 'sending the layer', from: 40, to: 95 }, async ({ signal, tell }) => {
    await using registry = registryOf(provider, signal)
    const size = layer.size
    const stream = told(layer.stream(signal), (sent) => tell(sent / size))
    await sendBlob(job, registry, { repository, digest: layer.digest, size, stream })
  })
  await job.phase({ name: 'sending the manifest', from: 95, to: 100 }, async ({ signal }) => {
    await using registry = registryOf(provider, signal)
    await sendBytes(job, registry, repository, image.config)
    // The same disk gives the same bytes: what was there before is not ours to remove.
    if (!(await registry.hasManifest(repository, digest, MEDIA.manifest)))
      await holdings.add({ kind: 'manifest', repository, digest })
    await putManifest(registry, repository, image)
    job.log.event(`${host}/${repository}:${image.tag} is ${digest}`)
  })
  return {
    identifier: `${host}/${repository}@${digest}`,
    account: provider.credentials.username,
    properties: {
      reference: `${host}/${repository}:${image.tag}`,
      manifest_digest: digest,
      layer_digest: `sha256:${layer.digest}`,
    },
  }
}

async function putManifest(
  registry: Registry,
  repository: string,
  { manifest, tag }: ContainerImage,
): Promise<void> {
  const { bytes } = manifest
  await registry.putManifest(repository, tag, { mediaType: MEDIA.manifest, bytes })
}

async function sendBytes(
  job: ContainerPush,
  registry: Registry,
  repository: string,
  { digest, bytes }: Blob,
): Promise<void> {
  const stream = (async function* () {
    yield bytes
  })()
  await sendBlob(job, registry, { repository, digest, size: bytes.length, stream })
}

async function sendBlob(
  { holdings }: ContainerPush,
  registry: Registry,
  blob: {
    readonly repository: string
    readonly digest: string
    readonly size: number
    readonly stream: AsyncIterable<Uint8Array>
  },
): Promise<void> {
  const { repository, digest, size, stream } = blob
  if (await registry.hasBlob(repository, `sha256:${digest}`)) return
  const noted = await holdings.add({ kind: 'upload' })
  const upload = await registry.beginUpload(repository)
  await noted.update({ kind: 'upload', url: upload })
  await registry.sendBlob(upload, `sha256:${digest}`, { stream, size })
  await noted.drop()
}

async function* told(
  content: AsyncIterable<Uint8Array>,
  tell: (sent: number) => void,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const chunk of content) {
    yield chunk
    tell((sent += chunk.length))
  }
}

function registryOf({ options, credentials }: ContainerProvider, signal: AbortSignal): Registry {
  const { registry: host, plain_http: plainHttp = false, insecure = false } = options
  return openRegistry({ host, plainHttp, insecure, ...credentials }, signal)
}

/** Blobs that no manifest names are the registry's to collect. */
async function clearThing(
  registry: Registry,
  { kind, url, repository, digest }: ReturnType<typeof fieldsOf>,
): Promise<void> {
  if (kind === 'upload' && typeof url === 'string') await registry.cancelUpload(url)
  else if (kind === 'manifest' && typeof repository === 'string' && typeof digest === 'string')
    await registry.deleteManifest(repository, digest)
}
