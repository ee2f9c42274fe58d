/**
 * Files out of an ISO 9660 image, by path: the reader of somebody else's medium, so nothing in it is believed. Names
 * are those of Rock Ridge where there are some, else the plain ones, and are compared without regard to case.
 * Source: ECMA-119; IEEE P1282 (Rock Ridge).
 */
import { createWriteStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { asFileFailure, Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'

const BLOCK = 2048
const FIRST_DESCRIPTOR = 16
const MAX_DESCRIPTORS = 64
const MAX_DIRECTORY = 4 * MiB
const MAX_FILE = 2048 * MiB

interface Place {
  block: number
  size: number
  isDirectory: boolean
}

/**
 * Copies the first of `paths` that is in the image to `destination`; which one it was, undefined if none is there.
 * Fails with IMAGE_UNREADABLE when it is no ISO 9660 image or a damaged one, FILE_NOT_FOUND, FILE_UNREADABLE, NO_SPACE.
 */
export async function extractFromIso(
  image: string,
  paths: readonly string[],
  destination: string,
): Promise<string | undefined> {
  try {
    await using file = await open(image, 'r')
    const root = await readRoot(file, image)
    for (const path of paths) {
      const place = await find(file, root, path, image)
      if (place === undefined || place.isDirectory) continue
      if (place.size === 0 || place.size > MAX_FILE || !(await holds(file, place)))
        throw damaged(image, `${path} lies outside of it`)
      const start = place.block * BLOCK
      const end = start + place.size - 1
      await pipeline(
        file.createReadStream({ start, end, autoClose: false }),
        createWriteStream(destination),
      )
      return path
    }
    return undefined
  } catch (error) {
    throw asFileFailure(error, image)
  }
}

/** The record of the top directory stands in the primary volume descriptor. */
async function readRoot(file: FileHandle, image: string): Promise<Place> {
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const block = await readAt(file, (FIRST_DESCRIPTOR + index) * BLOCK, BLOCK)
    if (block?.toString('latin1', 1, 6) !== 'CD001') break
    if (block[0] === 1) return placeOf(block.subarray(156, 190))
    if (block[0] === 255) break
  }
  throw new Failure('IMAGE_UNREADABLE', `${image} is no ISO 9660 image`, {
    details: { path: image },
  })
}

async function find(
  file: FileHandle,
  root: Place,
  path: string,
  image: string,
): Promise<Place | undefined> {
  let place: Place | undefined = root
  for (const name of path.split('/')) {
    if (place?.isDirectory !== true) return undefined
    place = await findIn(file, place, name.toLowerCase(), image)
  }
  return place
}

async function findIn(
  file: FileHandle,
  directory: Place,
  name: string,
  image: string,
): Promise<Place | undefined> {
  if (directory.size > MAX_DIRECTORY) throw damaged(image, 'a directory is too large')
  const content = await readAt(file, directory.block * BLOCK, directory.size)
  if (content === undefined) throw damaged(image, 'a directory lies outside of it')
  for (let offset = 0; offset < content.length;) {
    const length = content[offset] ?? 0
    if (length === 0) {
      offset = (Math.floor(offset / BLOCK) + 1) * BLOCK // no record crosses the end of a block
      continue
    }
    const record = content.subarray(offset, offset + length)
    offset += length
    if (record.length < 34) throw damaged(image, 'a directory is cut short')
    if (nameOf(record).toLowerCase() === name) return placeOf(record)
  }
  return undefined
}

/** Offsets as in `iso9660.ts`. */
function placeOf(record: Buffer): Place {
  return {
    block: record.readUInt32LE(2),
    size: record.readUInt32LE(10),
    isDirectory: ((record[25] ?? 0) & 2) !== 0,
  }
}

/** The name of Rock Ridge (fields `NM` of the system use area), else the plain one without its version. */
function nameOf(record: Buffer): string {
  const length = record[32] ?? 0
  let alternate = ''
  for (let at = 33 + length + ((length + 1) % 2); at + 5 <= record.length;) {
    const size = record[at + 2] ?? 0
    if (size < 4 || at + size > record.length) break
    if (record.toString('latin1', at, at + 2) === 'NM')
      alternate += record.toString('utf8', at + 5, at + size)
    at += size
  }
  if (alternate !== '') return alternate
  return record
    .toString('latin1', 33, 33 + length)
    .replace(/;\d+$/, '')
    .replace(/\.$/, '')
}

async function readAt(
  file: FileHandle,
  position: number,
  size: number,
): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(size)
  const { bytesRead } = await file.read(buffer, 0, size, position)
  return bytesRead === size ? buffer : undefined
}

async function holds(file: FileHandle, { block, size }: Place): Promise<boolean> {
  return block * BLOCK + size <= (await file.stat()).size
}

function damaged(image: string, why: string): Failure {
  return new Failure('IMAGE_UNREADABLE', `${image} is a damaged ISO 9660 image: ${why}`, {
    details: { path: image },
  })
}
