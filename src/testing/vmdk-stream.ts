/** A compressed VMDK as VMware writes it: markers all along, and the directory at the end. */
import { deflateSync } from 'node:zlib'
import { KiB, SECTOR } from '../base/units.ts'

const GRAIN = 64 * KiB
const ENTRIES = 512
const [TABLE, DIRECTORY, FOOTER] = [1, 2, 3]

export interface VmdkStream {
  readonly bytes: Buffer
  /** Bytes of the file where the markers stand. */
  readonly grains: readonly number[]
  readonly tables: readonly number[]
  readonly directory: number
  readonly footer: number
  readonly end: number
}

/**
 * The stream of a disk whose size is whole sectors. `tablesLast`: all tables after all grains, as
 * some tools do, instead of each after its own. `zeroGrains`: grains of zeros are told as such. `padded`: a
 * last grain that is short is filled up with zeros.
 */
export function vmdkStream(
  disk: Buffer,
  {
    tablesLast = false,
    zeroGrains = false,
    padded = false,
  }: { tablesLast?: boolean; zeroGrains?: boolean; padded?: boolean } = {},
): VmdkStream {
  const parts: Buffer[] = []
  let at = 0
  const add = (part: Buffer): number => {
    const start = at
    const padding = Buffer.alloc((SECTOR - (part.length % SECTOR)) % SECTOR)
    parts.push(part, padding)
    at += part.length + padding.length
    return start
  }
  const header = headerOf(disk.length / SECTOR, zeroGrains)
  add(header)
  add(descriptorOf(disk.length / SECTOR))
  add(Buffer.alloc(GRAIN - at))

  const tableCount = Math.ceil(disk.length / GRAIN / ENTRIES)
  const [grains, tables, waiting]: [number[], number[], Buffer[]] = [[], [], []]
  const directory = Buffer.alloc(tableCount * 4)
  const addTable = (index: number, table: Buffer) => {
    tables[index] = add(markerOf(TABLE, table.length / SECTOR))
    directory.writeUInt32LE(add(table) / SECTOR, index * 4)
  }
  for (let index = 0; index < tableCount; index++) {
    const table = Buffer.alloc(ENTRIES * 4)
    for (let entry = 0; entry < ENTRIES; entry++) {
      const guest = (index * ENTRIES + entry) * GRAIN
      const grain = disk.subarray(guest, guest + GRAIN)
      const isZero = grain.every((byte) => byte === 0)
      if (isZero && zeroGrains && grain.length > 0) table.writeUInt32LE(1, entry * 4)
      if (isZero) continue
      const place = add(grainOf(padded ? Buffer.concat([grain], GRAIN) : grain, guest))
      grains.push(place)
      table.writeUInt32LE(place / SECTOR, entry * 4)
    }
    if (tablesLast) waiting.push(table)
    else if (table.some((byte) => byte !== 0)) addTable(index, table)
  }
  for (const [index, table] of waiting.entries()) addTable(index, table)

  const directoryMarker = add(markerOf(DIRECTORY, Math.ceil(directory.length / SECTOR)))
  const directoryAt = add(directory)
  const footerMarker = add(markerOf(FOOTER, 1))
  const footer = Buffer.from(header)
  footer.writeBigUInt64LE(BigInt(directoryAt / SECTOR), 56)
  add(footer)
  const end = add(Buffer.alloc(SECTOR))
  return {
    bytes: Buffer.concat(parts),
    grains,
    tables,
    directory: directoryMarker,
    footer: footerMarker,
    end,
  }
}

function headerOf(capacity: number, zeroGrains: boolean): Buffer {
  const header = Buffer.alloc(SECTOR)
  header.write('KDMV')
  header.writeUInt32LE(3, 4)
  header.writeUInt32LE(0x30001 | (zeroGrains ? 4 : 0), 8)
  header.writeBigUInt64LE(BigInt(capacity), 12)
  header.writeBigUInt64LE(BigInt(GRAIN / SECTOR), 20)
  header.writeBigUInt64LE(1n, 28)
  header.writeBigUInt64LE(2n, 36)
  header.writeUInt32LE(ENTRIES, 44)
  header.writeBigUInt64LE(2n ** 64n - 1n, 56)
  header.writeBigUInt64LE(BigInt(GRAIN / SECTOR), 64)
  header.write('\n \r\n', 73, 'latin1')
  header.writeUInt16LE(1, 77)
  return header
}

function descriptorOf(capacity: number): Buffer {
  const descriptor = Buffer.alloc(2 * SECTOR)
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="windows-1252"',
    'CID=0badcafe',
    'parentCID=ffffffff',
    'isNativeSnapshot="no"',
    'createType="streamOptimized"',
    `RDONLY ${capacity} SPARSE "generated-stream.vmdk"`,
    'ddb.adapterType = "lsilogic"',
    'ddb.uuid.parent="00000000-0000-0000-0000-000000000000"',
    'ddb.toolsInstallType = "4"',
  ]
  descriptor.write(lines.map((line) => `${line}\r\n`).join(''), 'latin1')
  return descriptor
}

function markerOf(type: number, sectors: number): Buffer {
  const marker = Buffer.alloc(SECTOR)
  marker.writeBigUInt64LE(BigInt(sectors), 0)
  marker.writeUInt32LE(type, 12)
  return marker
}

function grainOf(grain: Buffer, guest: number): Buffer {
  const marker = Buffer.alloc(12)
  const payload = deflateSync(grain)
  marker.writeBigUInt64LE(BigInt(guest / SECTOR), 0)
  marker.writeUInt32LE(payload.length, 8)
  return Buffer.concat([marker, payload])
}
