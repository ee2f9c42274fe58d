import { crc32, deflateSync } from 'node:zlib'
import { Failure } from '../base/failure.ts'

const MAX_PIXELS = 64 * 1024 * 1024

/**
 * A PNG of a PPM picture (P6, 8 bits a colour), as QEMU's screendump writes them.
 * Fails with MACHINE_FAILED when it is not such a picture or a part of it is missing.
 * Source: netpbm's ppm(5); PNG Specification (W3C, 3rd edition).
 */
export function toPng(ppm: Uint8Array): Uint8Array {
  const bytes = Buffer.from(ppm.buffer, ppm.byteOffset, ppm.byteLength)
  const header = /^P6\s+(?:#.*\n\s*)*(\d{1,5})\s+(\d{1,5})\s+255\s/.exec(
    bytes.toString('latin1', 0, 512),
  )
  const [width, height] = [Number(header?.[1]), Number(header?.[2])]
  if (!header || width < 1 || height < 1 || width * height > MAX_PIXELS)
    throw new Failure('MACHINE_FAILED', 'the screenshot is not a PPM picture')
  const pixels = bytes.subarray(header[0].length)
  const row = width * 3
  if (pixels.length < row * height)
    throw new Failure('MACHINE_FAILED', 'the screenshot is cut short')
  const lines = Buffer.alloc((row + 1) * height) // each line: filter 0 (none), then its pixels
  for (let y = 0; y < height; y++) pixels.copy(lines, y * (row + 1) + 1, y * row, (y + 1) * row)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', imageHeader(width, height)),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** Width and height, 8 bits a sample, colour type 2 (RGB), no interlace. */
function imageHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return header
}

/** Length, type, content, and the CRC of type and content. */
function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const frame = Buffer.alloc(body.length + 8)
  frame.writeUInt32BE(content.length, 0)
  body.copy(frame, 4)
  frame.writeUInt32BE(crc32(body), body.length + 4)
  return frame
}
