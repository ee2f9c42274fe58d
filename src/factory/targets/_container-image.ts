/** A container image around a layer: its configuration, its manifest, and the archives that hold it. */
import { createHash } from 'node:crypto'
import type { ContainerJob, Layer, LayerPacking } from './_container-layer.ts'
import type { ContainerOptions } from './_container-schemas.ts'
import { type TarFile, tarBytes } from './_tar-stream.ts'

/** Source: OCI image specification, media types. */
export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
} as const

const LAYERS: Readonly<Record<LayerPacking, string>> = {
  none: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
}

/** Some bytes, by their digest. */
export interface Blob {
  readonly digest: string
  readonly bytes: Buffer
}

export interface ContainerImage {
  readonly layer: Layer
  readonly config: Blob
  readonly manifest: Blob
  readonly repository: string
  readonly tag: string
}

/** The same disk and options give the same bytes. */
export function describeContainer(job: ContainerJob, layer: Layer): ContainerImage {
  const { options, template } = job
  const config = toBlob(configOf(options, layer, template.description))
  const manifest = toBlob({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: {
      mediaType: MEDIA.config,
      digest: `sha256:${config.digest}`,
      size: config.bytes.length,
    },
    layers: [
      { mediaType: LAYERS[layer.packing], digest: `sha256:${layer.digest}`, size: layer.size },
    ],
  })
  return {
    layer,
    config,
    manifest,
    repository: options.repository ?? repositoryOf(template.name),
    tag: options.tag ?? 'latest',
  }
}

/** Upstream's: the template's name in small letters; here also as the specification wants names. */
function repositoryOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/[._-]{2,}/g, '-')
    .replaceAll(/^[._-]+|[._-]+$/g, '')
  return plain.slice(0, 128) || 'image'
}

/** Source: OCI image specification, "Image Configuration". */
function configOf(options: ContainerOptions, layer: Layer, description: string): object {
  const created = `${new Date(layer.createdAt * 1000).toISOString().slice(0, 19)}Z`
  const architecture = layer.architecture ?? 'amd64'
  const command = commandOf(options.docker_cmd)
  const entrypoint = programOf(options.container_entrypoint)
  const env = linesOf(options.docker_env)
  const labels = {
    ...labelsOf(options.docker_label),
    ...(options.docker_set_arch_label === true && { architecture }),
  }
  return {
    created,
    architecture,
    ...(architecture === 'arm' && { variant: 'v7' }),
    os: 'linux',
    config: {
      ...(options.container_user !== undefined && { User: options.container_user }),
      ...(env.length > 0 && { Env: env }),
      ...(entrypoint && { Entrypoint: entrypoint }),
      ...(command && { Cmd: command }),
      ...(options.container_workdir !== undefined && { WorkingDir: options.container_workdir }),
      ...(Object.keys(labels).length > 0 && { Labels: sorted(labels) }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer.diffDigest}`] },
    history: [{ created, created_by: 'ingot', comment: options.comment ?? description }],
  }
}

type Texts = string | readonly string[] | undefined

/** A list, a list as JSON, or a line for the shell. */
function commandOf(given: Texts): readonly string[] | undefined {
  if (given === undefined || given.length === 0) return undefined
  if (typeof given !== 'string') return given
  return jsonList(given) ?? ['/bin/sh', '-c', given]
}

function programOf(given: Texts): readonly string[] | undefined {
  if (given === undefined || given.length === 0) return undefined
  return typeof given === 'string' ? (jsonList(given) ?? [given]) : given
}

function linesOf(given: Texts = []): readonly string[] {
  const lines = typeof given === 'string' ? (jsonList(given) ?? given.split('\n')) : given
  return lines.map((line) => line.trim()).filter((line) => line.includes('='))
}

function jsonList(text: string): readonly string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

function labelsOf(given: ContainerOptions['docker_label'] = {}): Record<string, string> {
  if (typeof given !== 'string') return given
  const pairs = linesOf(given).map((line) => {
    const at = line.indexOf('=')
    return [line.slice(0, at), line.slice(at + 1)] as const
  })
  return Object.fromEntries(pairs)
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function toBlob(value: object): Blob {
  const bytes = Buffer.from(JSON.stringify(value))
  return { bytes, digest: createHash('sha256').update(bytes).digest('hex') }
}

/** Source: OCI image specification, "Image Layout". */
export function ociLayout({ layer, config, manifest, repository, tag }: ContainerImage): TarFile[] {
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [
      {
        mediaType: MEDIA.manifest,
        digest: `sha256:${manifest.digest}`,
        size: manifest.bytes.length,
        annotations: {
          'org.opencontainers.image.ref.name': tag,
          'io.containerd.image.name': `${repository}:${tag}`,
        },
      },
    ],
  }
  return [
    tarBytes('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    tarBytes('index.json', JSON.stringify(index)),
    tarBytes('blobs/', ''),
    tarBytes('blobs/sha256/', ''),
    blobFile(manifest),
    blobFile(config),
    {
      name: `blobs/sha256/${layer.digest}`,
      size: layer.size,
      stream: (signal) => layer.stream(signal),
    },
  ]
}

function blobFile({ digest, bytes }: Blob): TarFile {
  return tarBytes(`blobs/sha256/${digest}`, bytes)
}

/** Source: Docker, image specification 1.2, "Combined Image JSON + Filesystem Changeset Format". */
export function dockerArchive({ layer, config, repository, tag }: ContainerImage): TarFile[] {
  const configName = `${config.digest}.json`
  const layerName = `${layer.diffDigest}.tar`
  const manifest = [{ Config: configName, RepoTags: [`${repository}:${tag}`], Layers: [layerName] }]
  return [
    tarBytes('manifest.json', JSON.stringify(manifest)),
    tarBytes('repositories', JSON.stringify({ [repository]: { [tag]: layer.diffDigest } })),
    tarBytes(configName, config.bytes),
    { name: layerName, size: layer.size, stream: (signal) => layer.stream(signal) },
  ]
}
