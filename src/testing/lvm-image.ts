/** A disk with a guest inside LVM, made by code: no root, no device mapper. */
import { open, rm } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { runTool } from '../base/process.ts'
import { MiB, SECTOR } from '../base/units.ts'

export interface LvmImageOptions {
  /** A raw file that holds the file system of the root. */
  root: string
  /** A raw file that holds the file system of /boot. */
  boot: string
}

const EXTENT = 4 * MiB
/** Where the first extent of a physical volume lies. */
const FIRST_EXTENT = MiB
const METADATA = 4096

/**
 * A GPT disk at `path`: /boot as /dev/sda1, and as /dev/sda2 the physical volume of the group `vg`,
 * whose volume `root` is /dev/vg/root. File systems are as large as their files: whole extents.
 */
export async function makeLvmImage(path: string, options: LvmImageOptions): Promise<void> {
  const boot = await readWhole(options.boot)
  const root = await readWhole(options.root)
  const extents = Math.ceil(root.length / EXTENT)
  const physical = FIRST_EXTENT + extents * EXTENT
  const places = { boot: MiB, physical: MiB + boot.length }
  await rm(path, { force: true })
  await using file = await open(path, 'w')
  await file.truncate(places.physical + physical + MiB)
  await runTool(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', path], {
    input: `label: gpt\nstart=${places.boot / SECTOR}, size=${boot.length / SECTOR}, type=linux\nstart=${places.physical / SECTOR}, size=${physical / SECTOR}, type=lvm\n`,
  })
  await file.write(boot, 0, boot.length, places.boot)
  await file.write(label(physical), 0, SECTOR, places.physical + SECTOR)
  const metadata = metadataArea(physical, extents)
  await file.write(metadata, 0, metadata.length, places.physical + METADATA)
  await file.write(root, 0, root.length, places.physical + FIRST_EXTENT)
}

async function readWhole(path: string): Promise<Buffer> {
  await using file = await open(path)
  return await file.readFile()
}

const ID = (letter: string) => letter.repeat(32)
const dashed = (id: string) =>
  id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-$5-$6-')

/** LVM's check sum: that of zlib without the inversions, from a start of its own. */
function checksum(bytes: Uint8Array): number {
  return (crc32(bytes, ~0xf597a6cf >>> 0) ^ 0xffffffff) >>> 0
}

/**
 * The label and header of a physical volume. Source: LVM2, lib/format_text/layout.h.
 *
 * | offset | size | field                                                             |
 * | ------ | ---- | ----------------------------------------------------------------- |
 * | 0      | 8    | LABELONE                                                          |
 * | 8      | 8    | sector of this label                                              |
 * | 16     | 4    | check sum from 20 to the end of the sector                        |
 * | 20     | 4    | offset of the header: 32                                          |
 * | 24     | 8    | `LVM2 001`                                                        |
 * | 32     | 32   | id of the volume                                                  |
 * | 64     | 8    | its size                                                          |
 * | 72     | 32   | data areas (offset, size), zeros behind the last                  |
 * | 104    | 32   | metadata areas, likewise                                          |
 */
function label(size: number): Buffer {
  const sector = Buffer.alloc(SECTOR)
  sector.write('LABELONE', 0)
  sector.writeBigUInt64LE(1n, 8)
  sector.writeUInt32LE(32, 20)
  sector.write('LVM2 001', 24)
  sector.write(ID('p'), 32)
  sector.writeBigUInt64LE(BigInt(size), 64)
  sector.writeBigUInt64LE(BigInt(FIRST_EXTENT), 72)
  sector.writeBigUInt64LE(BigInt(METADATA), 104)
  sector.writeBigUInt64LE(BigInt(FIRST_EXTENT - METADATA), 112)
  sector.writeUInt32LE(checksum(sector.subarray(20)), 16)
  return sector
}

/**
 * The metadata area: a header of one sector, then the text of the group.
 *
 * | offset | size | field                                                    |
 * | ------ | ---- | -------------------------------------------------------- |
 * | 0      | 4    | check sum from 4 to the end of the sector                |
 * | 4      | 16   | magic                                                    |
 * | 20     | 4    | version: 1                                               |
 * | 24     | 8    | offset of the area on the volume                         |
 * | 32     | 8    | its size                                                 |
 * | 40     | 24   | the text: offset in the area, size, check sum, flags     |
 */
function metadataArea(size: number, extents: number): Buffer {
  const text = Buffer.from(`${groupText(size, extents)}\0`)
  const header = Buffer.alloc(SECTOR)
  header.write(' LVM2 x[5A%r0N*>', 4, 'latin1')
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(METADATA), 24)
  header.writeBigUInt64LE(BigInt(FIRST_EXTENT - METADATA), 32)
  header.writeBigUInt64LE(BigInt(SECTOR), 40)
  header.writeBigUInt64LE(BigInt(text.length), 48)
  header.writeUInt32LE(checksum(text), 56)
  header.writeUInt32LE(checksum(header.subarray(4)), 0)
  return Buffer.concat([header, text])
}

function groupText(size: number, extents: number): string {
  return `vg {
id = "${dashed(ID('g'))}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = ${EXTENT / SECTOR}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {
pv0 {
id = "${dashed(ID('p'))}"
device = "/dev/sda2"
status = ["ALLOCATABLE"]
flags = []
dev_size = ${size / SECTOR}
pe_start = ${FIRST_EXTENT / SECTOR}
pe_count = ${extents}
}
}
logical_volumes {
root {
id = "${dashed(ID('l'))}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = ${extents}
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}
}
}
}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "test"
creation_time = 1700000000
`
}
