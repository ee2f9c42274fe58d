/**
 * FAT16 file systems out of nothing but their files, for EFI system partitions: the same files, time
 * and id give the same bytes, which mkfs.vfat and mtools do not promise.
 * Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification, 1.03.
 */
import { Failure } from '../../base/failure.ts'
import { SECTOR } from '../../base/units.ts'
import type { Piece } from './gpt.ts'

export interface FatVolume {
  /** Bytes; whole sectors, at least 4.2 MB and at most 2 GiB. */
  size: number
  /** Bytes from the start of the disk, written down in the file system. */
  offset: number
  /** 32 bits: what fstab spells `ABCD-1234`. */
  id: number
  /** At most 11 capital letters, digits and spaces. */
  label: string
  /** When everything was made; from 1980 on, to two seconds. */
  time: Date
}

const FAT_COUNT = 2
const RESERVED_SECTORS = 1
const ROOT_ENTRIES = 512
const ENTRY_SIZE = 32
const ROOT_SECTORS = (ROOT_ENTRIES * ENTRY_SIZE) / SECTOR
const END_OF_CHAIN = 0xffff
const DIRECTORY = 0x10
const VOLUME_LABEL = 0x08

interface Layout {
  sectorsPerCluster: number
  fatSectors: number
  clusters: number
}

interface Directory {
  name: string
  entries: Map<string, Directory | Uint8Array>
}

/**
 * The non-empty parts of a volume that holds `files`, by path (`EFI/BOOT/BOOTX64.EFI`). Names are of
 * the old form, 8 and 3 characters, either in capitals or not.
 * Fails with BUILD_FAILED: a name of another form, not enough room.
 */
export function makeFat16(volume: FatVolume, files: ReadonlyMap<string, Uint8Array>): Piece[] {
  const layout = layOut(volume.size / SECTOR)
  return new FatWriter(volume, layout).write(toTree(files))
}

/** Small clusters first: FAT16 is what has 4085 to 65524 of them. */
function layOut(sectors: number): Layout {
  for (let sectorsPerCluster = 1; sectorsPerCluster <= 64; sectorsPerCluster *= 2) {
    const usable = sectors - RESERVED_SECTORS - ROOT_SECTORS
    // Each cluster costs its sectors and two bytes in each table; two entries name no cluster.
    const fatSectors = Math.ceil(
      (usable / sectorsPerCluster + 2) / (SECTOR / 2 + FAT_COUNT / sectorsPerCluster),
    )
    const clusters = Math.floor((usable - FAT_COUNT * fatSectors) / sectorsPerCluster)
    if (clusters < 4085) break
    if (clusters <= 65_524) return { sectorsPerCluster, fatSectors, clusters }
  }
  throw new Failure('BUILD_FAILED', `FAT16 cannot fill exactly ${sectors} sectors`)
}

class FatWriter {
  readonly #volume: FatVolume
  readonly #layout: Layout
  readonly #fat: Uint16Array
  readonly #pieces: Piece[] = []
  #next = 2

  constructor(volume: FatVolume, layout: Layout) {
    this.#volume = volume
    this.#layout = layout
    this.#fat = new Uint16Array((layout.fatSectors * SECTOR) / 2)
    this.#fat[0] = 0xfff8
    this.#fat[1] = END_OF_CHAIN
  }

  write(root: Directory): Piece[] {
    const label = this.#entry(this.#volume.label.padEnd(11), 0, VOLUME_LABEL, 0, 0)
    const records = [label, ...this.#children(root, 0)]
    if (records.length > ROOT_ENTRIES) throw noRoom('the root directory is full')
    const fat = new Uint8Array(this.#fat.buffer)
    const firstFat = RESERVED_SECTORS * SECTOR
    const fatSize = this.#layout.fatSectors * SECTOR
    return [
      { offset: 0, bytes: makeBootSector(this.#volume, this.#layout) },
      { offset: firstFat, bytes: fat },
      { offset: firstFat + fatSize, bytes: fat },
      { offset: firstFat + FAT_COUNT * fatSize, bytes: Buffer.concat(records) },
      ...this.#pieces,
    ]
  }

  /** Writes everything below a directory; the directory's own records. */
  #children(directory: Directory, cluster: number): Uint8Array[] {
    return [...directory.entries].map(([name, entry]) => {
      const { padded, lowerCase } = toShortName(name)
      if (entry instanceof Uint8Array) {
        const first = entry.length === 0 ? 0 : this.#store(entry)
        return this.#entry(padded, lowerCase, 0, first, entry.length)
      }
      const size = (entry.entries.size + 2) * ENTRY_SIZE
      const own = this.#allocate(size)
      const records = [
        this.#entry('.'.padEnd(11), 0, DIRECTORY, own, 0),
        this.#entry('..'.padEnd(11), 0, DIRECTORY, cluster, 0),
        ...this.#children(entry, own),
      ]
      this.#pieces.push({ offset: this.#offsetOf(own), bytes: Buffer.concat(records) })
      return this.#entry(padded, lowerCase, DIRECTORY, own, 0)
    })
  }

  /** First cluster of the stored bytes. */
  #store(bytes: Uint8Array): number {
    const first = this.#allocate(bytes.length)
    this.#pieces.push({ offset: this.#offsetOf(first), bytes })
    return first
  }

  /** First of the clusters, one behind the other, that hold `size` bytes. */
  #allocate(size: number): number {
    const count = Math.ceil(size / (this.#layout.sectorsPerCluster * SECTOR))
    const first = this.#next
    this.#next += count
    if (this.#next > this.#layout.clusters + 2) throw noRoom('the files do not fit')
    for (let cluster = first; cluster < this.#next; cluster++)
      this.#fat[cluster] = cluster + 1 < this.#next ? cluster + 1 : END_OF_CHAIN
    return first
  }

  #offsetOf(cluster: number): number {
    const { fatSectors, sectorsPerCluster } = this.#layout
    const start = RESERVED_SECTORS + FAT_COUNT * fatSectors + ROOT_SECTORS
    return (start + (cluster - 2) * sectorsPerCluster) * SECTOR
  }

  /**
   * | offset | size | field                                                           |
   * | ------ | ---- | --------------------------------------------------------------- |
   * | 0      | 11   | name                                                            |
   * | 11     | 1    | attributes                                                      |
   * | 12     | 1    | 0x08: the name is in small letters, 0x10: so is the extension   |
   * | 14     | 4    | time and date of creation                                       |
   * | 18     | 2    | date of the last access                                         |
   * | 22     | 4    | time and date of the last write                                 |
   * | 26     | 2    | first cluster                                                   |
   * | 28     | 4    | size                                                            |
   */
  #entry(
    name: string,
    lowerCase: number,
    attributes: number,
    cluster: number,
    size: number,
  ): Uint8Array {
    const { time, date } = toDosTime(this.#volume.time)
    const entry = Buffer.alloc(ENTRY_SIZE)
    entry.write(name, 0, 11, 'latin1')
    entry.writeUInt8(attributes, 11)
    entry.writeUInt8(lowerCase, 12)
    entry.writeUInt16LE(time, 14)
    entry.writeUInt16LE(date, 16)
    entry.writeUInt16LE(date, 18)
    entry.writeUInt16LE(time, 22)
    entry.writeUInt16LE(date, 24)
    entry.writeUInt16LE(cluster, 26)
    entry.writeUInt32LE(size, 28)
    return entry
  }
}

/**
 * | offset | size | field                                      |
 * | ------ | ---- | ------------------------------------------ |
 * | 0      | 3    | a jump over this table                     |
 * | 3      | 8    | name of the maker, the one all accept      |
 * | 11     | 2    | bytes in a sector                          |
 * | 13     | 1    | sectors in a cluster                       |
 * | 14     | 2    | sectors before the first table             |
 * | 16     | 1    | number of tables                           |
 * | 17     | 2    | entries of the root directory              |
 * | 19     | 2    | number of sectors, if it fits              |
 * | 21     | 1    | 0xf8: a disk that stays in its place       |
 * | 22     | 2    | sectors of a table                         |
 * | 24     | 4    | sectors in a track, heads                  |
 * | 28     | 4    | sectors before the volume                  |
 * | 32     | 4    | number of sectors, if it did not fit       |
 * | 36     | 3    | drive, nothing, 0x29: what follows is here |
 * | 39     | 4    | id                                         |
 * | 43     | 11   | label                                      |
 * | 54     | 8    | `FAT16`                                    |
 * | 510    | 2    | 55 aa                                      |
 */
function makeBootSector(volume: FatVolume, layout: Layout): Uint8Array {
  const sectors = volume.size / SECTOR
  const isSmall = sectors < 0x10000
  const boot = Buffer.alloc(SECTOR)
  boot.write('\u{eb}\u{3c}\u{90}MSWIN4.1', 0, 'latin1')
  boot.writeUInt16LE(SECTOR, 11)
  boot.writeUInt8(layout.sectorsPerCluster, 13)
  boot.writeUInt16LE(RESERVED_SECTORS, 14)
  boot.writeUInt8(FAT_COUNT, 16)
  boot.writeUInt16LE(ROOT_ENTRIES, 17)
  boot.writeUInt16LE(isSmall ? sectors : 0, 19)
  boot.writeUInt8(0xf8, 21)
  boot.writeUInt16LE(layout.fatSectors, 22)
  boot.writeUInt16LE(63, 24)
  boot.writeUInt16LE(255, 26)
  boot.writeUInt32LE(volume.offset / SECTOR, 28)
  boot.writeUInt32LE(isSmall ? 0 : sectors, 32)
  boot.writeUInt8(0x80, 36)
  boot.writeUInt8(0x29, 38)
  boot.writeUInt32LE(volume.id, 39)
  boot.write(`${volume.label.padEnd(11)}FAT16   `, 43, 'latin1')
  boot.writeUInt16BE(0x55aa, 510)
  return boot
}

function toTree(files: ReadonlyMap<string, Uint8Array>): Directory {
  const root: Directory = { name: '', entries: new Map() }
  for (const [path, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    let directory = root
    const parts = path.split('/')
    const name = parts.pop() ?? ''
    for (const part of parts) {
      const found = directory.entries.get(part) ?? { name: part, entries: new Map() }
      if (found instanceof Uint8Array) throw noRoom(`${part} is a file and a directory`)
      directory.entries.set(part, found)
      directory = found
    }
    directory.entries.set(name, bytes)
  }
  return root
}

function toShortName(name: string): { padded: string; lowerCase: number } {
  const [, base, extension = ''] =
    /^([A-Z0-9_-]{1,8}|[a-z0-9_-]{1,8})(?:\.([A-Z0-9]{1,3}|[a-z0-9]{1,3}))?$/.exec(name) ?? []
  if (base === undefined)
    throw new Failure('BUILD_FAILED', `'${name}' cannot name a file of the EFI system partition`)
  return {
    padded: base.toUpperCase().padEnd(8) + extension.toUpperCase().padEnd(3),
    lowerCase: (hasSmall(base) ? 0x08 : 0) | (hasSmall(extension) ? 0x10 : 0),
  }
}

function hasSmall(text: string): boolean {
  return text !== text.toUpperCase()
}

/** Hours, minutes and pairs of seconds; years since 1980, month and day. */
function toDosTime(at: Date): { time: number; date: number } {
  const seconds = at.getUTCSeconds() >> 1
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | seconds
  const years = at.getUTCFullYear() - 1980
  return { time, date: (years << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate() }
}

function noRoom(why: string): Failure {
  return new Failure('BUILD_FAILED', `the EFI system partition: ${why}`)
}
