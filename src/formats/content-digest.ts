/**
 * The digest that names what a guest's disk holds. It can be computed from units that come in any
 * order, by several threads, and without reading holes; equal disks have equal digests, whatever
 * format or file they came in.
 *
 * Units of 64 KiB are taken in groups of 512 (32 MiB), in the order of the disk:
 *
 *     unit    = SHA-256 of its bytes (those the disk has: the last unit may be short)
 *     group   = SHA-256 of, for each unit of it that is not all zeros: its number (u64), its digest
 *     content = SHA-256 of `IngotDisk`, a zero byte, the size of the disk (u64), and, for each group
 *               that is not all zeros: its number (u64), its digest
 *
 * Numbers are little-endian.
 */
import { hash } from 'node:crypto'
import type { DiskMap } from './disk-map.ts'

/** Units of a group. */
const GROUP_UNITS = 512
const DIGEST_SIZE = 32
/** Groups whose units' digests are kept: 16 KiB each. Of the others only the group's own is. */
const OPEN_GROUPS = 512

/** Gathers the digests of units as they come. */
export class ContentDigest {
  /** Digests of units, by group; those that were used last stand last. */
  readonly #open = new Map<number, Buffer>()
  readonly #closed = new Map<number, Buffer>()
  /** Groups that were closed and then came again: they have to be read once more. */
  readonly #again = new Set<number>()

  /** Takes a unit's bytes; a unit that comes again takes the place of the first. */
  add(unit: number, bytes: Uint8Array): void {
    this.addDigest(unit, hash('sha256', bytes, 'buffer'))
  }

  /** Takes a unit's digest. */
  addDigest(unit: number, digest: Uint8Array): void {
    const group = Math.floor(unit / GROUP_UNITS)
    this.#units(group)?.set(digest, (unit % GROUP_UNITS) * DIGEST_SIZE)
  }

  /** Says that the unit was changed in part, or became zero, so that what is known is not true. */
  spoil(unit: number): void {
    const group = Math.floor(unit / GROUP_UNITS)
    this.#open.delete(group)
    this.#closed.delete(group)
    this.#again.add(group)
  }

  /**
   * Hexadecimal SHA-256 of the disk with this map. All its data units must have come; those that
   * cannot be told any more are asked for.
   */
  async end(map: DiskMap, read: (unit: number) => Promise<Uint8Array>): Promise<string> {
    const parts: Uint8Array[] = [Buffer.from('IngotDisk\0'), u64(map.size)]
    for (let unit = map.next(0, true); unit < map.units;) {
      const group = Math.floor(unit / GROUP_UNITS)
      parts.push(u64(group), await this.#groupDigest(group, map, read))
      unit = map.next((group + 1) * GROUP_UNITS, true)
    }
    return hash('sha256', Buffer.concat(parts))
  }

  async #groupDigest(
    group: number,
    map: DiskMap,
    read: (unit: number) => Promise<Uint8Array>,
  ): Promise<Buffer> {
    const closed = this.#closed.get(group)
    if (closed !== undefined) return closed
    let units = this.#open.get(group)
    if (units === undefined) {
      units = Buffer.alloc(GROUP_UNITS * DIGEST_SIZE)
      for (const unit of unitsOf(group, map))
        units.set(hash('sha256', await read(unit), 'buffer'), (unit % GROUP_UNITS) * DIGEST_SIZE)
    }
    return groupDigest(group, units, unitsOf(group, map))
  }

  /** Where the digests of a group go; undefined when it will have to be read again anyway. */
  #units(group: number): Buffer | undefined {
    if (this.#again.has(group)) return undefined
    if (this.#closed.has(group)) {
      this.spoil(group * GROUP_UNITS)
      return undefined
    }
    let units = this.#open.get(group)
    if (units === undefined) {
      units = Buffer.alloc(GROUP_UNITS * DIGEST_SIZE)
      this.#open.set(group, units)
      if (this.#open.size > OPEN_GROUPS) this.#closeOldest()
    }
    return units
  }

  #closeOldest(): void {
    for (const [group, units] of this.#open) {
      this.#open.delete(group)
      this.#closed.set(group, groupDigest(group, units, unitsThatCame(group, units)))
      return
    }
  }
}

function groupDigest(group: number, units: Buffer, present: Iterable<number>): Buffer {
  const parts: Uint8Array[] = []
  for (const unit of present) {
    const at = (unit - group * GROUP_UNITS) * DIGEST_SIZE
    parts.push(u64(unit), units.subarray(at, at + DIGEST_SIZE))
  }
  return hash('sha256', Buffer.concat(parts), 'buffer')
}

/** The data units of a group. */
function* unitsOf(group: number, map: DiskMap): Generator<number> {
  const end = Math.min((group + 1) * GROUP_UNITS, map.units)
  for (let unit = map.next(group * GROUP_UNITS, true); unit < end; unit = map.next(unit + 1, true))
    yield unit
}

/** The units whose digests have come; no digest is all zeros. */
function* unitsThatCame(group: number, units: Buffer): Generator<number> {
  for (let index = 0; index < GROUP_UNITS; index++)
    if (units.subarray(index * DIGEST_SIZE, (index + 1) * DIGEST_SIZE).some((byte) => byte !== 0))
      yield group * GROUP_UNITS + index
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
