import { rm } from 'node:fs/promises'
import { Failure, isFailure } from '../base/failure.ts'
import type { Piece } from '../bytes/piece.ts'
import { sendPieces, type Sink } from '../bytes/send-pieces.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import { goldenOf } from '../formats/golden.ts'
import { type DiskTarget, importImage, type ImportedDisk } from '../formats/import-image.ts'
import { piecesOfRaw } from '../formats/raw-pieces.ts'
import { openSparseWriter } from '../formats/sparse-writer.ts'
import { makeView } from '../formats/views.ts'
import { demandRoom, type Intake, type Stored } from './_intake.ts'
import { claimOf } from './_judge-content.ts'
import { ObjectDisk } from './_object-disk.ts'
import { ObjectStream } from './_object-stream.ts'
import type { IngestPlan } from './ingest.ts'
import { spoolPath } from './spool.ts'

/** Disks that can be taken apart. */
const CONVERTIBLE: ReadonlySet<string> = new Set([
  'raw',
  'gpt',
  'qcow2',
  'vhd',
  'vhdx',
  'vmdk',
  'vdi',
])

/** Whether content that is declared so is made into another format (of an OVA: its first disk); all other is stored as it is. */
export function isConverted({ convertTo, diskFormat, containerFormat }: IngestPlan): boolean {
  if (convertTo === undefined) return false
  if (containerFormat === 'ova') return true
  if (containerFormat !== 'bare') return false
  const format = diskFormat === 'gpt' ? 'raw' : diskFormat
  return CONVERTIBLE.has(diskFormat) && format !== convertTo
}

/**
 * Takes a disk out of its format, and stores it in the one that is wanted. A store that is written in any
 * order gets a raw disk as it comes; anything else is put together in the spool first.
 */
export async function ingestConverted(
  content: AsyncIterable<Uint8Array>,
  intake: Intake,
): Promise<Stored> {
  const { plan } = intake
  const isDirect = plan.convertTo === 'raw' && plan.store.anyOrder
  return await (isDirect ? storeDisk(content, intake) : spoolAndStore(content, intake))
}

async function storeDisk(content: AsyncIterable<Uint8Array>, intake: Intake): Promise<Stored> {
  const { plan, digests, algorithms } = intake
  const { store, key } = plan
  await using ring = digests.ring(algorithms)
  const writer = await store.create(key)
  const disk = new ObjectDisk(writer, ring, (size) => demandRoom(plan, size))
  const imported = await importDisk(content, disk, intake)
  try {
    const found = (await disk.digests()) ?? (await readDigests(imported, intake))
    return storedDisk(imported, imported.virtualSize, found, intake)
  } catch (error) {
    await store.remove(key)
    throw error
  }
}

/** The digests of an object that was not written in order. */
async function readDigests({ map }: ImportedDisk, intake: Intake): Promise<string[]> {
  const { plan, digests, algorithms, context } = intake
  await using source = await plan.store.open(plan.key)
  await using ring = digests.ring(algorithms)
  await using object = new ObjectStream({ ring })
  await sendPieces(piecesOfRaw(map), { disk: source }, sinkOf(object), { signal: context.signal })
  return (await object.end()).digests
}

async function spoolAndStore(content: AsyncIterable<Uint8Array>, intake: Intake): Promise<Stored> {
  const { plan, context } = intake
  const path = spoolPath(plan.spoolDirectory, context.newId)
  try {
    const spooled = await openSparseWriter(path, { sync: false })
    const imported = await importDisk(content, spooled, intake)
    await using disk = await openFileSource(path)
    const { length, pieces } = await contentOf(disk, imported.map, intake)
    const digests = await storePieces(pieces, length, disk, intake)
    return storedDisk(imported, length, digests, intake)
  } finally {
    await rm(path, { force: true })
  }
}

/** The disk as the file that is wanted. */
async function contentOf(disk: Source, map: DiskMap, { plan }: Intake) {
  if (plan.convertTo === 'raw' || plan.convertTo === undefined)
    return { length: map.size, pieces: piecesOfRaw(map) }
  const { identity } = await goldenOf(disk, map)
  const view = makeView(plan.convertTo, { map, identity })
  return { length: view.length, pieces: view.pieces(0, view.length) }
}

async function storePieces(
  pieces: Iterable<Piece>,
  size: number,
  disk: Source,
  { plan, digests, algorithms, context }: Intake,
): Promise<string[]> {
  demandRoom(plan, size)
  await using writer = await plan.store.create(plan.key, size)
  await using ring = digests.ring(algorithms, size)
  await using object = new ObjectStream({ ring, writer })
  await sendPieces(pieces, { disk }, sinkOf(object), { signal: context.signal })
  const { digests: stored } = await object.end()
  await writer.finish(size)
  return stored
}

/** Fails with FORMAT_MISMATCH when it is not what was declared. */
async function importDisk(
  content: AsyncIterable<Uint8Array>,
  target: DiskTarget,
  intake: Intake,
): Promise<ImportedDisk> {
  const { plan, digests, context } = intake
  const { name, spoolDirectory, maxSize, diskFormat } = plan
  const writer: DiskTarget = {
    write: (offset, bytes) => target.write(offset, bytes),
    finish: async (size) => {
      await intake.demandExpected([])
      return await target.finish(size)
    },
    discard: () => target.discard(),
  }
  const claim = plan.containerFormat === 'ova' ? 'ova' : claimOf(plan)
  const limits = { unpackedSize: maxSize }
  const options = { name, writer, claim, digest: false, digests, spoolDirectory, limits }
  try {
    return await importImage(content, options, context)
  } catch (error) {
    if (!isFailure(error, 'IMAGE_UNSAFE') || error.details['finding'] !== 'CLAIM_MISMATCH')
      throw error
    throw new Failure('FORMAT_MISMATCH', `${name} is not ${diskFormat}, as it is said to be`, {
      details: error.details,
      cause: error,
    })
  }
}

function storedDisk(
  { virtualSize, map, findings }: ImportedDisk,
  size: number,
  digests: readonly string[],
  { plan }: Intake,
): Stored {
  return {
    size,
    virtualSize,
    diskFormat: plan.convertTo ?? 'raw',
    containerFormat: 'bare',
    digests,
    map: plan.wantsMap ? map : undefined,
    findings,
  }
}

/** Sinks are given the next bytes before they have taken the last. */
function sinkOf(object: ObjectStream): Sink {
  let last: Promise<void> = Promise.resolve()
  return {
    write: (bytes) => (last = last.then(() => object.write(bytes))),
    zeros: (length) => (last = last.then(() => object.zeros(length))),
  }
}
