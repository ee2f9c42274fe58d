/**
 * A snapshot written by blocks. Blocks that hold nothing are not sent, and read as zeros.
 * Source: Amazon EBS, "Use EBS direct APIs to write".
 */
import { createHash } from 'node:crypto'
import type { Context } from '../../base/context.ts'
import { inLanes } from '../../base/in-lanes.ts'
import { GiB, KiB } from '../../base/units.ts'
import { readInto } from '../../bytes/source.ts'
import type { PushedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { touchedBlocks } from './_disk-parts.ts'
import { asking, type Ec2Clients, type Ec2Provider } from './_ec2-clients.ts'

const BLOCK = 512 * KiB

export interface NewSnapshot {
  /** The same token twice gives the same snapshot. */
  readonly token: string
  readonly description: string
  readonly tags: readonly { readonly Key: string; readonly Value: string }[]
}

/** Begins the snapshot; its id, and whose it is. */
export async function startSnapshot(
  { ebs, ebsLibrary }: Ec2Clients,
  { options }: Ec2Provider,
  disk: PushedDisk,
  { token, description, tags }: NewSnapshot,
  { signal }: Pick<Context, 'signal'>,
): Promise<{ id: string; account: string | undefined }> {
  const { kms_key, encrypted = kms_key === undefined ? undefined : true } = options
  const command = new ebsLibrary.StartSnapshotCommand({
    VolumeSize: Math.ceil(disk.size / GiB),
    ClientToken: token,
    Description: description,
    Tags: [...tags],
    // Amazon ends a snapshot of which it has heard nothing for so many minutes.
    Timeout: 60,
    ...(encrypted !== undefined && { Encrypted: encrypted }),
    ...(kms_key !== undefined && { KmsKeyArn: kms_key }),
  })
  const answer = await asking('a snapshot to write', ebs.send(command, { abortSignal: signal }))
  return { id: answer.SnapshotId ?? '', account: answer.OwnerId }
}

/** Sends the blocks that hold data, and seals the snapshot. */
export async function writeSnapshot(
  { ebs, ebsLibrary }: Ec2Clients,
  { options }: Ec2Provider,
  disk: PushedDisk,
  SnapshotId: string,
  { signal, tell }: PhaseScene,
): Promise<{ blocks: number }> {
  const blocks = [...touchedBlocks(extentsOf(disk), BLOCK)]
  let done = 0
  await inLanes(blocks, options.parallel ?? 32, async (BlockIndex) => {
    const bytes = Buffer.alloc(BLOCK) // the last one is longer than what the disk has left
    const start = BlockIndex * BLOCK
    await readInto(disk.source, bytes.subarray(0, Math.min(BLOCK, disk.size - start)), start)
    const command = new ebsLibrary.PutSnapshotBlockCommand({
      SnapshotId,
      BlockIndex,
      BlockData: bytes,
      DataLength: BLOCK,
      Checksum: createHash('sha256').update(bytes).digest('base64'),
      ChecksumAlgorithm: 'SHA256',
    })
    await asking(`block ${BlockIndex}`, ebs.send(command, { abortSignal: signal }))
    tell(++done / blocks.length)
  })
  // No check sum of all: each block's was checked, and the count says that none is missing.
  const command = new ebsLibrary.CompleteSnapshotCommand({
    SnapshotId,
    ChangedBlocksCount: blocks.length,
  })
  await asking(`snapshot ${SnapshotId}`, ebs.send(command, { abortSignal: signal }))
  return { blocks: blocks.length }
}

function* extentsOf({ map }: PushedDisk): Generator<{ start: number; end: number }> {
  for (const { offset, length } of map.extents()) yield { start: offset, end: offset + length }
}
