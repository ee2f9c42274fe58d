/** A raw disk with data of every kind in places, the same every time: runs, single units, odd sectors; an MBR. */
import { open } from 'node:fs/promises'
import { KiB, MiB } from '../base/units.ts'

const SEED = 2654435761

/** Makes the file, `size` bytes. Data is what does not compress, text, and single bytes. */
export async function makeSparseDisk(path: string, size: number): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(size)
  const noise = Buffer.from(
    Uint32Array.from({ length: (192 * KiB) / 4 }, (_, at) => (at + 1) * SEED).buffer,
  )
  const text = Buffer.alloc(96 * KiB, 'what a disk holds, over and over; ')
  const put = async (bytes: Buffer, part: number) =>
    await file.write(bytes, 0, bytes.length, Math.floor((size * part) / 512) * 512)
  await put(text, 0)
  await put(noise, 0.1)
  await put(Buffer.from([1]), 0.25)
  await put(noise.subarray(0, 512), 0.33)
  for (const part of [0.4, 0.45, 0.46, 0.47]) await put(part < 0.46 ? noise : text, part)
  await file.write('the last sector', size - 512)
  await file.write(masterBootRecord(size), 0, 512, 0)
}

/** One Linux partition from 1 MiB to the last whole MiB. */
function masterBootRecord(size: number): Buffer {
  const record = Buffer.alloc(512)
  record[446 + 4] = 0x83
  record.writeUInt32LE(MiB / 512, 446 + 8)
  record.writeUInt32LE((Math.floor(size / MiB) - 1) * (MiB / 512), 446 + 12)
  record.writeUInt16LE(0xaa55, 510)
  return record
}
