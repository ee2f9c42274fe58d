import type { Image, Location } from '../images/image.ts'

/** The record of an image, for tests: queued, empty, of project `p1`, unless `parts` say otherwise. */
export function sampleImage(parts: Partial<Image> = {}): Image {
  const time = new Date('2026-01-02T03:04:05Z')
  return {
    id: '11111111-2222-4333-8444-555555555555',
    name: 'sample',
    status: 'queued',
    visibility: 'shared',
    protected: false,
    hidden: false,
    checksum: null,
    hashAlgorithm: null,
    hashValue: null,
    owner: 'p1',
    size: null,
    virtualSize: null,
    containerFormat: 'bare',
    diskFormat: 'raw',
    minRamMiB: 0,
    minDiskGiB: 0,
    createdAt: time,
    updatedAt: time,
    tags: [],
    properties: {},
    locations: [],
    revision: 1,
    ...parts,
  }
}

/** Where data of an image stands: an object of this key in a store called `file`. */
export function sampleLocation(id: string, key: string): Location {
  return { id, store: 'file', key, url: `file://${key}`, metadata: { of: key } }
}
