/**
 * The headers in rpm's database: one for each package, a table of tagged values.
 * Source: rpm's documentation, "RPM Package format: Header" (docs/manual/format_header.md).
 *
 * | offset       | size | field                                            |
 * | ------------ | ---- | ------------------------------------------------ |
 * | 0            | 4    | number of index entries, n                       |
 * | 4            | 4    | length of the data store                         |
 * | 8            | 16 n | index: tag, type, offset in the store, count     |
 * | 8 + 16 n     | …    | data store                                       |
 *
 * All numbers are big-endian. Every offset and count is checked: an image's database is hostile.
 */
import type { InstalledPackage } from './package-manager.ts'

const TAG = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  vendor: 1011,
  license: 1014,
  url: 1020,
  architecture: 1022,
  sourceRpm: 1044,
  provideName: 1047,
} as const

const TYPE_INT32 = 4
const TYPES_OF_TEXT: readonly number[] = [6, 8, 9]
const MAX_ENTRIES = 65_536
const MAX_TEXTS = 65_536

/** The package a header describes; undefined if it is no header, or one of a key (`gpg-pubkey`). */
export function parseRpmHeader(blob: Uint8Array): InstalledPackage | undefined {
  if (blob.length < 8) return undefined
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const count = view.getUint32(0)
  const store = 8 + 16 * count
  if (count > MAX_ENTRIES || store > blob.length) return undefined
  const end = Math.min(blob.length, store + view.getUint32(4))

  const find = (
    tag: number,
    types: readonly number[],
  ): { at: number; count: number } | undefined => {
    for (let index = 0; index < count; index++) {
      const entry = 8 + 16 * index
      if (view.getUint32(entry) !== tag || !types.includes(view.getUint32(entry + 4))) continue
      const at = store + view.getUint32(entry + 8)
      return at < end ? { at, count: view.getUint32(entry + 12) } : undefined
    }
    return undefined
  }
  const texts = (tag: number): string[] => {
    const found = find(tag, TYPES_OF_TEXT)
    const result: string[] = []
    let at = found?.at ?? end
    while (result.length < Math.min(found?.count ?? 0, MAX_TEXTS) && at < end) {
      const zero = blob.indexOf(0, at)
      const stop = zero < 0 || zero > end ? end : zero
      result.push(Buffer.from(blob.subarray(at, stop)).toString())
      at = stop + 1
    }
    return result
  }
  const number = (tag: number): number | undefined => {
    const found = find(tag, [TYPE_INT32])
    return found && found.at + 4 <= end ? view.getUint32(found.at) : undefined
  }

  const [name] = texts(TAG.name)
  const [version] = texts(TAG.version)
  const [release] = texts(TAG.release)
  if (!name || !version || !release || name === 'gpg-pubkey') return undefined
  const epoch = number(TAG.epoch)
  return toRpmPackage({
    name,
    version: `${epoch ? `${epoch}:` : ''}${version}-${release}`,
    architecture: texts(TAG.architecture)[0],
    source: texts(TAG.sourceRpm)[0],
    vendor: texts(TAG.vendor)[0],
    license: texts(TAG.license)[0],
    url: texts(TAG.url)[0],
    provides: texts(TAG.provideName),
  })
}

/** A package out of what rpm says of it; `(none)` is how it says nothing. */
export function toRpmPackage(said: {
  name: string
  version: string
  architecture: string | undefined
  source: string | undefined
  vendor: string | undefined
  license: string | undefined
  url: string | undefined
  provides: readonly string[]
}): InstalledPackage {
  const source = known(said.source)?.replace(/-[^-]+-[^-]+\.(no)?src\.rpm$/, '')
  const maintainer = known(said.vendor)
  const homepage = known(said.url)
  const license = known(said.license)
  return {
    name: said.name,
    version: said.version,
    architecture: known(said.architecture) ?? '',
    provides: said.provides.filter((name) => name !== said.name),
    ...(source !== undefined && source !== said.name && { source }),
    ...(maintainer !== undefined && { maintainer }),
    ...(homepage !== undefined && { homepage }),
    ...(license !== undefined && { license }),
  }
}

function known(text: string | undefined): string | undefined {
  return text === '(none)' || text === '' ? undefined : text
}
