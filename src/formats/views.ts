/**
 * Every format that an image can be served in, and the gate before them: `makeView` checks that the
 * disk fits, names the view, and holds callers to its length. Adding a format: one file in `views/`,
 * one line here.
 */
import { Failure } from '../base/failure.ts'
import { formatSize, SECTOR } from '../base/units.ts'
import type { Content } from '../bytes/piece.ts'
import { closestWord } from '../schema/closest-word.ts'
import { etagFor } from './_identity.ts'
import { UNIT } from './disk-map.ts'
import type { OrderedContent } from './ordered-content.ts'
import type { View, ViewFormat, ViewInput } from './view.ts'
import { gce } from './views/gce.ts'
import { ova, ovaVirtualbox } from './views/ova.ts'
import { qcow2Zlib, qcow2Zstd } from './views/qcow2-compressed.ts'
import { qcow2 } from './views/qcow2.ts'
import { rawGz } from './views/raw-gz.ts'
import { rawZst } from './views/raw-zst.ts'
import { raw } from './views/raw.ts'
import { vdi } from './views/vdi.ts'
import { vhdFixed } from './views/vhd-fixed.ts'
import { vhd } from './views/vhd.ts'
import { vhdx } from './views/vhdx.ts'
import { vmdkStream } from './views/vmdk-stream.ts'
import { vmdk } from './views/vmdk.ts'

/** In the order in which they are shown. An ending that several have means the first of them. */
export const VIEW_FORMATS: readonly ViewFormat[] = [
  raw,
  qcow2,
  vhd,
  vhdFixed,
  vhdx,
  vdi,
  vmdk,
  qcow2Zlib,
  qcow2Zstd,
  vmdkStream,
  rawGz,
  rawZst,
  gce,
  ova,
  ovaVirtualbox,
]

/**
 * The format of a name (`vhd-fixed`) or of a file ending (`img`, `.vmdk`), whatever the case.
 * Fails with FORMAT_UNKNOWN, which names the closest one.
 */
export function viewFormatOf(nameOrEnding: string): ViewFormat {
  const word = nameOrEnding.toLowerCase().replace(/^\./, '')
  const found =
    VIEW_FORMATS.find(({ name }) => name === word) ??
    VIEW_FORMATS.find(({ endings }) => endings.includes(word))
  if (found !== undefined) return found
  const names = VIEW_FORMATS.map(({ name }) => name)
  const closest = closestWord(word, names)
  throw new Failure(
    'FORMAT_UNKNOWN',
    `no format '${nameOrEnding}'; there are ${names.join(', ')}`,
    closest === undefined ? {} : { fix: `Did you mean ${closest}?` },
  )
}

/** The format that a file's name tells by its longest known ending, or undefined if it tells none. */
export function viewFormatOfPath(path: string): ViewFormat | undefined {
  const words = path.toLowerCase().replace(/^.*\//, '').split('.')
  for (let first = 1; first < words.length; first++) {
    const ending = words.slice(first).join('.')
    const found = VIEW_FORMATS.find(({ endings }) => endings.includes(ending))
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * A golden image as a file of the format `name`.
 * Fails with FORMAT_UNKNOWN; with VIEW_IMPOSSIBLE when the disk does not fit the format. Asking the view
 * for bytes it does not have is a RangeError.
 */
export function makeView(name: string, input: ViewInput): View {
  const format = viewFormatOf(name)
  checkInput(format, input)
  const content = format.make(input)
  let etag: string | undefined
  return {
    format: format.name,
    length: content.length,
    get etag() {
      return (etag ??= etagFor(format, input))
    },
    pieces: (from, to) => piecesOf(content, from, to),
  }
}

/**
 * The same bytes while the clusters of `input` are being made; undefined for formats of which nothing can be
 * told before all of them are. Fails as `makeView` does.
 */
export function orderView(name: string, input: ViewInput): OrderedContent | undefined {
  const format = viewFormatOf(name)
  checkInput(format, input)
  return format.order?.(input)
}

/**
 * The ETag that a view will have when its clusters are made, which `input` tells by their edition. Fails as
 * `makeView` does.
 */
export function etagToBe(name: string, input: ViewInput): string {
  const format = viewFormatOf(name)
  checkDisk(format, input)
  return etagFor(format, input)
}

function checkInput(format: ViewFormat, input: ViewInput): void {
  const { name, needs } = format
  const { map, clusters } = input
  const isFit = clusters?.codec === needs || clusters?.codec === format.smallestOf
  if (needs !== 'map' && (!clusters || !isFit || clusters.map.digest !== map.digest))
    throw new RangeError(`${name} is made of the ${needs} clusters of the same disk`)
  checkDisk(format, input)
}

function checkDisk(format: ViewFormat, { map }: ViewInput): void {
  const { name, maxVirtualSize = Number.MAX_SAFE_INTEGER } = format
  if (map.unit !== UNIT) throw new RangeError(`views are made of a map with units of ${UNIT} bytes`)
  const details = { format: name, size: map.size }
  if (map.size === 0 || map.size % SECTOR !== 0)
    throw new Failure(
      'VIEW_IMPOSSIBLE',
      `a disk of ${map.size} bytes is not whole sectors of ${SECTOR} bytes`,
      { details },
    )
  if (map.size > maxVirtualSize)
    throw new Failure(
      'VIEW_IMPOSSIBLE',
      `${name} holds disks up to ${formatSize(maxVirtualSize)}; this one has ${formatSize(map.size)}`,
      { details: { ...details, maxVirtualSize } },
    )
}

function piecesOf(content: Content, from: number, to: number) {
  const whole = Number.isSafeInteger(from) && Number.isSafeInteger(to)
  if (!whole || from < 0 || from > to || to > content.length)
    throw new RangeError(`bytes ${from} to ${to} of a view of ${content.length} bytes`)
  return content.pieces(from, to)
}
