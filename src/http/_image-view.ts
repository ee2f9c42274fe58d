import type { Caller, Target } from '../access/caller.ts'
import type { Service } from '../app/service.ts'
import type { Image, Location } from '../images/image.ts'

/** Images as the wire shows them, as JSON text; kept from one request to the next. */
export interface ImageView {
  /** What this caller may see of the image. `target`: what policy rules are asked about it. */
  textOf(image: Image, caller: Caller, target: Target): string
}

/**
 * Records are kept by the catalog, and are the same objects as long as they say the same: so the text of one
 * is kept for as long as it is.
 */
export function openImageView({ config, policy, protections }: Service): ImageView {
  const { show_direct_url: showsUrl, show_multiple_locations: showsLocations } = config.image
  const withUrls = new WeakMap<Image, string>()
  const withoutUrls = new WeakMap<Image, string>()
  return {
    textOf(image, caller, target) {
      const maySeeUrls =
        (showsUrl || showsLocations) && policy.allows('get_image_location', caller, target)
      const urls = { directUrl: maySeeUrls && showsUrl, locations: maySeeUrls && showsLocations }
      if (protections.active)
        return toText(image, urls, (name) => protections.allows('read', name, caller))
      const kept = maySeeUrls ? withUrls : withoutUrls
      const found = kept.get(image)
      if (found !== undefined) return found
      const text = flat(toText(image, urls))
      kept.set(image, text)
      return text
    },
  }
}

/** The same text in one piece: V8 keeps a text that was put together as its pieces, to be joined with each use. */
function flat(text: string): string {
  return Buffer.from(text).toString()
}

/** `2026-07-01T12:00:00Z`: no fractions, as the wire has it. */
export function toWireTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/** Ids, digests and times need no escaping, and the order of members is for people who read them. */
function toText(
  image: Image,
  urls: { readonly directUrl: boolean; readonly locations: boolean },
  mayRead: (property: string) => boolean = () => true,
): string {
  const { id, locations } = image
  const path = `/v2/images/${id}`
  const properties = Object.entries(image.properties)
    .filter(([name]) => mayRead(name))
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)},`)
    .join('')
  const first = locations[0]
  const directUrl =
    urls.directUrl && first !== undefined ? `"direct_url":${JSON.stringify(first.url)},` : ''
  const shown = urls.locations
    ? `"locations":${JSON.stringify(locations.map(toWireLocation))},`
    : ''
  return `{"id":"${id}","name":${JSON.stringify(image.name)},"status":"${image.status}","visibility":"${
    image.visibility
  }","protected":${image.protected},"os_hidden":${image.hidden},"checksum":${quoted(
    image.checksum,
  )},"os_hash_algo":${quoted(image.hashAlgorithm)},"os_hash_value":${quoted(
    image.hashValue,
  )},"owner":${JSON.stringify(image.owner)},"size":${image.size},"virtual_size":${
    image.virtualSize
  },"container_format":${quoted(image.containerFormat)},"disk_format":${quoted(
    image.diskFormat,
  )},"min_ram":${image.minRamMiB},"min_disk":${image.minDiskGiB},"created_at":"${toWireTime(
    image.createdAt,
  )}","updated_at":"${toWireTime(image.updatedAt)}","tags":${JSON.stringify(image.tags)},${storesOf(
    locations,
  )}${directUrl}${shown}${properties}"self":"${path}","file":"${path}/file","schema":"/v2/schemas/image"}`
}

function quoted(word: string | null): string {
  return word === null ? 'null' : `"${word}"`
}

function storesOf(locations: readonly Location[]): string {
  if (locations.length === 0) return ''
  return `"stores":${JSON.stringify([...new Set(locations.map(({ store }) => store))].join(','))},`
}

function toWireLocation({ url, store, metadata }: Location): object {
  return { url, metadata: { ...metadata, store } }
}
