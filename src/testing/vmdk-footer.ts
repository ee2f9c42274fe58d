/** A VMDK whose header does not say where its directory is. */
import { SECTOR } from '../base/units.ts'

const [FOOTER, REDUNDANT] = [3, 2]

/**
 * The same sparse disk, compressed or not, with a footer that tells where its directory stands instead of its
 * header. `sectors`: what the marker says that follows it. `redundant`: whether the other directory is told still.
 */
export function withVmdkFooter(
  vmdk: Uint8Array,
  { sectors = 1, redundant = true }: { sectors?: number; redundant?: boolean } = {},
): Buffer<ArrayBuffer> {
  const image = Buffer.alloc(Math.ceil(vmdk.length / SECTOR) * SECTOR)
  image.set(vmdk)
  if (!redundant) {
    image.writeUInt32LE(image.readUInt32LE(8) & ~REDUNDANT, 8)
    image.writeBigUInt64LE(0n, 48)
  }
  const footer = Buffer.from(image.subarray(0, SECTOR))
  image.writeBigUInt64LE(2n ** 64n - 1n, 56)
  const marker = Buffer.alloc(SECTOR)
  marker.writeBigUInt64LE(BigInt(sectors), 0)
  marker.writeUInt32LE(FOOTER, 12)
  return Buffer.concat([image, marker, footer, Buffer.alloc(SECTOR)])
}
