/** For tests of compression: disks whose units are of every kind a compressor meets. */
import { UNIT, type DiskMap } from '../formats/disk-map.ts'
import { checkRange, type Source } from '../bytes/source.ts'
import { KiB, MiB } from '../base/units.ts'
import { noise } from './contract-tree.ts'

const NOISE = noise(MiB)
const TEXT = Buffer.alloc(
  MiB,
  Array.from({ length: 999 }, (_, n) => `line ${n ** 3} of many\n`).join(''),
)

/** What a unit holds: text, what cannot be compressed, one byte only, or half and half. */
function unitOf(unit: number): Buffer {
  const start = (unit * 997) % (MiB - UNIT)
  if (unit % 7 === 1) return NOISE.subarray(start, start + UNIT)
  if (unit % 7 === 2) return Buffer.alloc(UNIT, 1 + (unit % 255))
  const bytes = Buffer.from(TEXT.subarray(start, start + UNIT))
  if (unit % 7 === 3) NOISE.copy(bytes, 0, start, start + 40 * KiB)
  bytes.writeUInt32LE(unit, 0)
  return bytes
}

/** A disk with that map, the same every time, of any size in no memory. Its holes are zeros. */
export function mixedDisk(map: DiskMap): Source {
  const disk: Source = {
    name: 'mixed disk',
    size: map.size,
    read: async (offset, length) => {
      checkRange(disk, offset, length)
      const bytes = Buffer.alloc(length)
      for (let at = offset - (offset % UNIT); at < offset + length; at += UNIT) {
        if (!map.has(at / UNIT)) continue
        const skip = Math.max(offset - at, 0)
        unitOf(at / UNIT).copy(bytes, at + skip - offset, skip)
      }
      return bytes
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return disk
}
