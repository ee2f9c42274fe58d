/** The compressed clusters that a conversion needs: kept ones, or made for it. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { workingPath } from '../base/leftovers.ts'
import type { ClusterCodec } from './cluster-index.ts'
import { type ClusterStore, openClusterStore } from './cluster-store.ts'
import type { AdoptedInput } from './_convert-output.ts'
import type { ConvertJob } from './convert-image.ts'
import type { DiskMap } from './disk-map.ts'
import { makeClusterStore } from './make-cluster-store.ts'
import { readContentDigest } from './read-content-digest.ts'

type Codec = 'deflate' | 'zstd'

/** Opens kept clusters of the disk, or makes them. Fails as `makeClusterStore` does. */
export async function openClusters(
  codec: Codec,
  input: AdoptedInput,
  job: ConvertJob,
  context: Context,
): Promise<ClusterStore> {
  if (job.keep !== undefined) return await openKept(job.keep, codec, input, job, context)
  const { output, tempDir } = job
  const beside = typeof output === 'string' ? workingPath(output, codec) : undefined
  const path = beside ?? join(tempDir, `ingot-${process.pid}-${randomUUID()}`)
  const store = await make(path, job.format.smallestOf ?? codec, input, job, context)
  await rm(path) // it stays readable while it is open
  return store
}

async function openKept(
  directory: string,
  codec: Codec,
  { golden, kept }: AdoptedInput,
  job: ConvertJob,
  context: Context,
): Promise<ClusterStore> {
  // The identity is too weak to name what has to be right in every byte.
  const known = kept?.known?.contentDigest
  const contentDigest = known ?? (await readContentDigest(golden.disk, golden.map, context))
  if (known === undefined) await kept?.keep({ ...golden, contentDigest })
  const path = join(directory, `${contentDigest}-${job.level ?? 'default'}.${codec}`)
  const store = await openIfThere(path, codec, golden.map)
  if (store) return store
  await mkdir(directory, { recursive: true })
  return await make(path, codec, { golden }, job, context)
}

async function make(
  path: string,
  codec: ClusterCodec,
  { golden: { disk, map } }: Pick<AdoptedInput, 'golden'>,
  { level }: ConvertJob,
  context: Context,
): Promise<ClusterStore> {
  context.progress({ kind: 'phase', name: 'compress' })
  return await makeClusterStore({ disk, map, codec, level, path }, context)
}

async function openIfThere(
  path: string,
  codec: string,
  map: DiskMap,
): Promise<ClusterStore | undefined> {
  try {
    const store = await openClusterStore(path)
    if (store.index.codec === codec && store.index.map.digest === map.digest) return store
    await store[Symbol.asyncDispose]()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
  }
  return undefined
}
