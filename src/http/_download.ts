import type { FastifyRequest } from 'fastify'
import { Failure } from '../base/failure.ts'
import { VIEW_FORMATS, viewFormatOf } from '../formats/views.ts'
import type { Image } from '../images/image.ts'
import { chooseMediaType } from './_accept.ts'

/** What is wanted of an image's data. */
export interface Download {
  /** One of the formats of `views.ts`; undefined: the stored bytes. */
  readonly format: string | undefined
  /** Stores, the one that is liked best first. */
  readonly prefer: readonly string[]
  /** As a Range header says it. */
  readonly range: string | undefined
}

const STORED = 'application/octet-stream'

/** What `compressed=true` makes of formats. */
const COMPRESSED: ReadonlyMap<string, string> = new Map([
  ['raw', 'raw.gz'],
  ['qcow2', 'qcow2-zlib'],
  ['vmdk', 'vmdk-stream'],
])

/**
 * What media types in an Accept header ask for. Kinds of formats that have none of their own are had by
 * `disk_format`: `vhd-fixed`, `ova-virtualbox`, `gce`, and those that are compressed.
 */
const MEDIA_TYPES: ReadonlyMap<string, string | undefined> = new Map([
  [STORED, undefined], // the stored bytes, and so does anything that is not named here
  ['application/x-raw-disk-image', 'raw'],
  ['application/x-qemu-disk', 'qcow2'],
  ['application/x-vhd-disk', 'vhd'],
  ['application/x-vhdx-disk', 'vhdx'],
  ['application/x-vdi-disk', 'vdi'],
  ['application/x-vmdk-disk', 'vmdk'],
  ['application/gzip', 'raw.gz'],
  ['application/zstd', 'raw.zst'],
  ['application/ovf', 'ova'],
])

/** Reads query and headers. Fails with REQUEST_INVALID, FORMAT_UNKNOWN. */
export function parseDownload({ query, headers }: FastifyRequest, image: Image): Download {
  const { disk_format: diskFormat, compressed, prefer } = query as Record<string, unknown>
  const stores = typeof prefer === 'string' ? prefer.split(',').map((store) => store.trim()) : []
  return {
    format: formatOf(diskFormat, isYes(compressed), { accept: headers.accept, image }),
    prefer: stores.filter((store) => store !== ''),
    range: headers.range ?? asRange(headers['content-range']),
  }
}

function isYes(compressed: unknown): boolean {
  return compressed === 'true' || compressed === '1' || compressed === ''
}

function formatOf(
  diskFormat: unknown,
  isCompressed: boolean,
  { accept, image }: { accept: string | undefined; image: Image },
): string | undefined {
  if (diskFormat === undefined && !isCompressed) return acceptedFormat(accept)
  if (typeof diskFormat !== 'string')
    throw new Failure('REQUEST_INVALID', 'compressed needs one disk_format')
  if (!isCompressed && isStoredForm(diskFormat, image)) return undefined
  const { name } = viewFormatOf(diskFormat)
  if (!isCompressed || name.includes('.') || [...COMPRESSED.values()].includes(name)) return name
  const found = COMPRESSED.get(name)
  if (found !== undefined) return found
  throw new Failure('REQUEST_INVALID', `there is no compressed ${name}`, {
    fix: `Compressed there are ${[...COMPRESSED.keys()].join(', ')}.`,
  })
}

/** Whether a word names what is stored and is no disk: an `iso`, an `ami`, an `ova`. */
function isStoredForm(word: string, { diskFormat, containerFormat }: Image): boolean {
  const name = word.toLowerCase()
  if (containerFormat !== 'bare') return name === containerFormat
  return name === diskFormat && !VIEW_FORMATS.some((format) => format.name === name)
}

/** A client that takes anything, or none of ours, gets the stored bytes. */
function acceptedFormat(accept: string | undefined): string | undefined {
  const liked = chooseMediaType(accept, [...MEDIA_TYPES.keys()])
  return liked === undefined ? undefined : MEDIA_TYPES.get(liked)
}

/** Historically, requests of the Image API say in Content-Range what they want. */
function asRange(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  const [, first, last] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(header.trim()) ?? []
  return first === undefined ? header : `bytes=${first}-${last}`
}

/**
 * The Image API refuses ranges that HTTP lets a server overlook: several at once, other units, nonsense.
 * Fails with RANGE_IMPOSSIBLE.
 */
export function checkStoredRange(range: string | undefined, length: number): void {
  if (range === undefined) return
  const [, first = '', last = ''] = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(range) ?? []
  const isBackwards = first !== '' && last !== '' && Number(last) < Number(first)
  if ((first !== '' || last !== '') && !isBackwards) return
  throw new Failure('RANGE_IMPOSSIBLE', `'${range}' is no range of ${length} bytes`, {
    details: { length },
  })
}
