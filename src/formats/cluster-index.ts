/**
 * The index of a cluster store: how long each compressed cluster is, and the check sums of what it
 * holds. With the map of the disk it is all that compressed views are computed from; the payloads are
 * only looked at when somebody wants their bytes.
 */
import { createHash } from 'node:crypto'
import { Fields } from '../bytes/fields.ts'
import { Places } from './_places.ts'
import { type DiskMap, parseDiskMap, UNIT } from './disk-map.ts'

/**
 * How the clusters of a store are compressed. `deflate`: raw deflate with a window of 12 bits, which
 * fits qcow2, VMDK and gzip at once. `deflate-wide`: with 15 bits, 5 % smaller, which VMDK and gzip take
 * but qcow2 does not. `zstd`: one frame each, which tells its content's size and check sum.
 */
export type ClusterCodec = 'deflate' | 'deflate-wide' | 'zstd'

const CODECS: readonly ClusterCodec[] = ['deflate', 'zstd', 'deflate-wide']
const MAGIC = 'IngotClu'
const VERSION = 2
const HEAD = 80
const EDITION = 48

/**
 * Where each compressed cluster of a store stands. There is one cluster for each data unit of the map,
 * in the order of the guest's disk, payload after payload without gaps, so cluster `n` belongs to unit
 * `map.select(n)`. A cluster that does not shrink is kept as it is (`isStored`). The last unit of a
 * disk is padded with zeros to 64 KiB before it is compressed. Memory is 10 bytes a cluster.
 *
 * While clusters are still being made (`ClusterIndexBuilder.index`) the first ones can be asked for.
 */
export class ClusterIndex {
  readonly codec: ClusterCodec
  readonly level: number
  /** Names what the compressors make of a content, before they have; see `editionOf`. */
  readonly edition: string
  readonly map: DiskMap
  /** Clusters: `map.dataUnits`. */
  readonly count: number
  readonly #bytes: Buffer
  readonly #lengths: number
  readonly #crcs: number
  readonly #adlers: number
  readonly #places: Places
  readonly #stored: Places
  #digest: string | undefined

  /** For `parseClusterIndex`, which has checked the bytes. */
  constructor(bytes: Buffer, map: DiskMap, head: { codec: ClusterCodec; level: number }) {
    this.codec = head.codec
    this.level = head.level
    this.map = map
    this.edition = bytes.toString('hex', EDITION, HEAD)
    this.count = map.dataUnits
    this.#bytes = bytes
    this.#lengths = bytes.length - this.count * 10
    this.#crcs = bytes.length - this.count * 8
    this.#adlers = bytes.length - this.count * 4
    this.#places = new Places(this.count, (cluster) => this.length(cluster))
    this.#stored = new Places(this.count, (cluster) => (this.isStored(cluster) ? 1 : 0))
  }

  /** Bytes of all payloads. */
  get payloadSize(): number {
    return this.#places.end
  }

  /** Hexadecimal SHA-256 over all of it. */
  get digest(): string {
    return (this.#digest ??= createHash('sha256').update(this.#bytes).digest('hex'))
  }

  /** Of the payload in the store; `offset(count)` is `payloadSize`. */
  offset(cluster: number): number {
    return this.#places.start(cluster)
  }

  length(cluster: number): number {
    return this.#bytes.readUInt16LE(this.#lengths + cluster * 2) || UNIT
  }

  /** Whether the payload is the plain 64 KiB. */
  isStored(cluster: number): boolean {
    return this.#bytes.readUInt16LE(this.#lengths + cluster * 2) === 0
  }

  /** How many of the clusters before this one are stored as they are. `cluster` may be `count`. */
  storedBefore(cluster: number): number {
    return this.#stored.start(cluster)
  }

  /** The first cluster from `cluster` on that is stored as it is (or is not); `count` if there is none. */
  next(cluster: number, stored: boolean): number {
    let at = cluster
    while (at < this.count && this.isStored(at) !== stored) at++
    return at
  }

  /** The cluster that is stored as it is and has `rank` such before it. */
  selectStored(rank: number): number {
    return this.#stored.find(rank)
  }

  /** CRC-32 (zlib's) of the plain 64 KiB. */
  crc32(cluster: number): number {
    return this.#bytes.readUInt32LE(this.#crcs + cluster * 4)
  }

  /** Adler-32 of the plain 64 KiB; 0 in a zstd store, where no format asks for it. */
  adler32(cluster: number): number {
    return this.#bytes.readUInt32LE(this.#adlers + cluster * 4)
  }

  /** The index as it is kept; see `ClusterIndexBuilder`. */
  toBytes(): Buffer {
    return this.#bytes
  }
}

/** What is known of clusters that follow each other. */
export interface ClusterFacts {
  /** Bytes of each payload; 0 for one that is stored as it is. */
  readonly lengths: Uint16Array
  readonly crcs: Uint32Array
  readonly adlers: Uint32Array
}

/**
 * Collects the facts of all clusters of a disk, first to last. The index as bytes, little-endian:
 *
 * | offset | size      | field                                                         |
 * | ------ | --------- | ------------------------------------------------------------- |
 * | 0      | 8         | `IngotClu`                                                    |
 * | 8      | 4         | version: 2                                                    |
 * | 12     | 4         | codec: 0 deflate, 1 zstd, 2 deflate-wide                      |
 * | 16     | 4         | level                                                         |
 * | 20     | 4         | bytes of a cluster: 65536                                     |
 * | 24     | 8         | clusters (a check)                                            |
 * | 32     | 8         | bytes of all payloads (a check)                               |
 * | 40     | 8         | m: bytes of the map                                           |
 * | 48     | 32        | the edition                                                   |
 * | 80     | m         | the map of the disk, as `DiskMap.toBytes` gives it            |
 * |        | 2 each    | bytes of the payloads; 0 for a cluster that is stored as it is |
 * |        | 4 each    | CRC-32 of the plain clusters                                  |
 * |        | 4 each    | Adler-32 of the plain clusters; zeros with zstd               |
 */
export class ClusterIndexBuilder {
  /** The index to be, over the clusters that were added until now. */
  readonly index: ClusterIndex
  readonly #bytes: Buffer
  readonly #lengths: number
  readonly #count: number
  #added = 0
  #payloadSize = 0

  constructor(map: DiskMap, codec: ClusterCodec, level: number, edition: string) {
    const mapBytes = map.toBytes()
    this.#count = map.dataUnits
    this.#lengths = HEAD + mapBytes.length
    this.#bytes = Buffer.alloc(this.#lengths + this.#count * 10)
    this.#bytes.write(MAGIC, 0, 'latin1')
    this.#bytes.writeUInt32LE(VERSION, 8)
    this.#bytes.writeUInt32LE(CODECS.indexOf(codec), 12)
    this.#bytes.writeInt32LE(level, 16)
    this.#bytes.writeUInt32LE(UNIT, 20)
    this.#bytes.writeBigUInt64LE(BigInt(this.#count), 24)
    this.#bytes.writeBigUInt64LE(BigInt(mapBytes.length), 40)
    this.#bytes.write(edition, EDITION, 'hex')
    mapBytes.copy(this.#bytes, HEAD)
    this.index = new ClusterIndex(this.#bytes, map, { codec, level })
  }

  /** Clusters that were added. */
  get added(): number {
    return this.#added
  }

  /** The clusters that follow those that were added before. */
  add(facts: ClusterFacts): void {
    this.put(this.#added, facts)
    this.#added += facts.lengths.length
    for (const length of facts.lengths) this.#payloadSize += length || UNIT
  }

  /** Writes down the clusters from `first` on, for whoever goes on where adding ended. */
  put(first: number, { lengths, crcs, adlers }: ClusterFacts): void {
    const crcStart = this.#lengths + this.#count * 2
    const adlerStart = crcStart + this.#count * 4
    for (const [index, length] of lengths.entries()) {
      const cluster = first + index
      this.#bytes.writeUInt16LE(length, this.#lengths + cluster * 2)
      this.#bytes.writeUInt32LE(crcs[index] ?? 0, crcStart + cluster * 4)
      this.#bytes.writeUInt32LE(adlers[index] ?? 0, adlerStart + cluster * 4)
    }
  }

  /** The index, once each cluster was added. */
  toBytes(): Buffer {
    if (this.#added !== this.#count)
      throw new RangeError(`${this.#added} of ${this.#count} clusters were added`)
    this.#bytes.writeBigUInt64LE(BigInt(this.#payloadSize), 32)
    return this.#bytes
  }
}

/** An index as bytes. Fails with IMAGE_UNSAFE when they are none, or disagree with themselves. */
export function parseClusterIndex(bytes: Buffer, name: string, start = 0): ClusterIndex {
  const fields = new Fields(bytes, { name, start })
  const codec = bytes.length < HEAD ? undefined : CODECS[fields.u32(12)]
  if (codec === undefined || !fields.holds(0, MAGIC) || fields.u32(8) !== VERSION)
    throw fields.fault('IMAGE_UNSAFE', 0, `this is no index of clusters (version ${VERSION})`)
  if (fields.u32(20) !== UNIT)
    throw fields.fault('IMAGE_UNSAFE', 20, `clusters of ${fields.u32(20)} bytes, not of ${UNIT}`)
  const map = parseDiskMap(fields.slice(HEAD, fields.size(40)), `${name}: map`)
  const wanted = HEAD + fields.size(40) + map.dataUnits * 10
  if (map.unit !== UNIT || fields.size(24) !== map.dataUnits || bytes.length !== wanted)
    throw fields.fault(
      'IMAGE_UNSAFE',
      24,
      `${bytes.length} bytes do not index ${map.dataUnits} clusters, which takes ${wanted}`,
    )
  const index = new ClusterIndex(bytes, map, { codec, level: bytes.readInt32LE(16) })
  if (index.payloadSize !== fields.size(32))
    throw fields.fault(
      'IMAGE_UNSAFE',
      32,
      `the payloads have ${index.payloadSize} bytes, not ${fields.size(32)}`,
    )
  return index
}
