import { createHash } from 'node:crypto'

/** Every name on a disk that is usually random. */
export interface DiskIdentity {
  diskUuid: string
  rootUuid: string
  /** Of the partitions, by what they are for. */
  partitionUuids: Readonly<Record<'root' | 'bios' | 'esp', string>>
  /** Seed of the hashes by which the root file system sorts its directories. */
  hashSeed: string
  /** 32 bits. */
  espId: number
}

/** The identity of the disk that `seed` describes; the same for the same seed. */
export function toDiskIdentity(seed: string): DiskIdentity {
  return {
    diskUuid: toUuid(seed, 'disk'),
    rootUuid: toUuid(seed, 'root file system'),
    partitionUuids: {
      root: toUuid(seed, 'root partition'),
      bios: toUuid(seed, 'BIOS boot partition'),
      esp: toUuid(seed, 'EFI system partition'),
    },
    hashSeed: toUuid(seed, 'hash seed'),
    espId: Number.parseInt(toUuid(seed, 'FAT').slice(0, 8), 16),
  }
}

/** The id of a FAT file system as fstab spells it: `ABCD-1234`. */
export function formatFatId(id: number): string {
  return id
    .toString(16)
    .toUpperCase()
    .padStart(8, '0')
    .replace(/^(.{4})/, '$1-')
}

/** A UUID made from a name. Source: RFC 9562, version 8 (the version 5 scheme with SHA-256). */
export function toUuid(seed: string, name: string): string {
  const hash = createHash('sha256').update(`${seed}\n${name}`).digest().subarray(0, 16)
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
